"""What click-by-click systems share: guidance maps, simulated clicks in training, scenes that replay clicks.

How a network joins, in three steps (``models/systems/ritm`` is the smallest example):

1. A configuration that extends :class:`~.config.ClickConfig` (``model_type = "declutter-NAME"``), and a
   network that extends :class:`~.network.ClickNetwork`:

   ``network(image, points, previous) -> logits``

   ``image`` is ``[B, 3, H, W]`` RGB 0–255, ``points`` float ``[B, P, 3]`` (x, y in pixels; then 1 positive,
   0 negative, -1 no point; the newest last), ``previous`` the probability after the click before,
   ``[B, 1, H, W]`` (zeros before any). Logits are ``[B, 1, H, W]``: the tensor itself, or the attribute
   ``logits`` of what is returned (:class:`~.network.ClickOutput` adds ``auxiliary``, learned by BCE).
   ``self.normalise(image)`` and ``self.guidance(points, H, W)`` are there.
2. A :class:`~.definition.SystemDefinition` named ``SYSTEM`` at the place that ``models/systems/table.py``
gives.
   Its fields have defaults:

   * ``stepper``: how clicks become masks. :class:`~.stepper.ZoomStepper` crops, resizes and runs the network;
     extend it (``predict``, ``crop_for``) where a system keeps features from one click to the next: they go
     into ``ClickState.kept``.
   * ``task``: :class:`~.task.InteractiveTask` draws pictures, samples points and rolls out. Extend it
     (``forward_losses``, ``roll_out``) where the losses are not the normalised focal loss of the logits, or
     where training has phases (``recipe.training`` holds a system's own settings, checked by
     ``training_settings``).
   * ``works``: what ``declutter models show`` counts FLOPs of.
   * ``published``: the authors' figures for a recipe's name.
3. Recipes ``models/recipes/NAME-*.yaml`` with ``task: interactive`` and ``system: NAME``. Compact ones may
   start their backbone (``compact``, default settings) with ``backbone_weights: bundled``.

Then ``declutter train``, ``declutter models show``, ``declutter eval … --system FOLDER`` and ``declutter
serve --system FOLDER`` know the system.
"""
