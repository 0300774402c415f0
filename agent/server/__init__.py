"""The web server: page, sockets, offers, status."""
