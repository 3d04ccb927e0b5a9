"""What parts are tried on: numbers, media, networks and wishes, a folder, another device, another process."""
