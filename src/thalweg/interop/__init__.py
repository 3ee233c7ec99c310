"""Files and formats shared with other frameworks: safetensors."""

from thalweg.interop import safetensors

__all__ = ["safetensors"]
