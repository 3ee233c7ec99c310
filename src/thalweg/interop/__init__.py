"""Files and formats shared with other frameworks: safetensors, files of torch.save."""

from thalweg.interop import safetensors, torch_files

__all__ = ["safetensors", "torch_files"]
