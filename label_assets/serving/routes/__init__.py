"""The addresses, one module a subject; `serving.app` puts them together."""
