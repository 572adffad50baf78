"""Weights of networks as files: .safetensors and .pth, in and out."""
