"""Making data: regions, objects, placement, compositing, and the DistractorSyn splits they end in."""
