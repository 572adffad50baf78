"""A run that is disturbed again and again has to end as one that was not."""
