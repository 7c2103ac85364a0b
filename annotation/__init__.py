"""People and servers: the Label Studio backend, its codecs, project set-up, pre-labels and export."""
