"""Motion between the images of a map: registration to synthetic images, by gradients or by a network, and its guard."""
