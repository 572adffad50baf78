"""Collectives read from the text of a compiled program."""

from bmjax.benchmark.collectives import collectives

PROGRAM = """\
HloModule step, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%turn (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %in_loop = f32[8]{0} all-reduce(%part), replica_groups={{0,1}}, to_apply=%add
}

%turn_on (state: (s32[], f32[8])) -> pred[] {
  ROOT %less = pred[] compare(%a, %b), direction=LT
}

%small (x: f32[4]) -> f32[4] {
  ROOT %gathered = f32[4]{0} all-gather(%x), dimensions={0}
}

%large (x: f32[4]) -> f32[4] {
  %swapped = (f32[2,4]{1,0}, f32[2,4]{1,0}) all-to-all(%x, %x), replica_groups={{0,1}}
  ROOT %passed = bf16[4]{0} collective-permute(%x), source_target_pairs={{0,1}}
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %both = (f32[8]{0}, f32[2,3]{1,0}, /*index=2*/f32[]) all-reduce(%p, %q, %r)
  %loop = (s32[], f32[8]{0}) while(%t), condition=%turn_on, body=%turn, KNOWN
  %chosen = f32[4]{0} conditional(%i, %u, %v), branch_computations={%small, %large}
  %begun = (f32[2]{0}, f32[8]{0}) all-gather-start(%s), dimensions={0}
  ROOT %ended = f32[8]{0} all-gather-done(%begun)
}
"""


PROGRAM = PROGRAM.replace("KNOWN", 'backend_config={"known_trip_count":{"n":"3"}}')


def test_each_kind_is_counted_with_its_bytes():
    assert collectives(PROGRAM) == {
        # Three arrays at once are one; the loop turns three times.
        "all-reduce": (1 + 3, 4 * (8 + 6 + 1) + 3 * 4 * 8),
        # Of the branches the one that moves more.
        "all-to-all": (1, 2 * 4 * 8),
        "collective-permute": (1, 2 * 4),
        # One begun and ended is one; its operands lie beside its results.
        "all-gather": (1, 4 * 8),
    }


def test_a_program_that_says_nothing_has_none():
    assert collectives("HloModule m\n\nENTRY %main (p: f32[]) -> f32[] {\n}\n") == {}
