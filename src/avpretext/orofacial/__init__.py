"""Speech that moves a face: phones, the lower face, networks, tables, page and films."""
