"""Motion between the images of a map: registration to synthetic images, its fields and its guard."""
