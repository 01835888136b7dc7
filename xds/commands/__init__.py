"""The commands of the command line, one module each; xds/__main__.py lists them."""
