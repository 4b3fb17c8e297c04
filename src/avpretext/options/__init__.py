"""Groups of options that `avpretext.config` is put together from."""
