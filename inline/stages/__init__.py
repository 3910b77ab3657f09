"""Steps that pipelines share."""
