"""What a page, a server, a notebook and the backend need to know of each other. numpy only, no torch."""
