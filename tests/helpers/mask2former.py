"""A tiny Mask2Former with random weights, saved as a checkpoint is."""

from __future__ import annotations

from pathlib import Path


def write_tiny_mask2former(
    folder: Path, labels: tuple[str, ...] = ("road", "wall-brick", "sky", "blob")
) -> Path:
    """Write a checkpoint with these labels; its weights are always the same."""
    import torch
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessorPil,
        ResNetConfig,
    )

    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 12, 16, 24],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Mask2FormerForUniversalSegmentation(
            Mask2FormerConfig(
                backbone_config=backbone,
                feature_size=32,
                mask_feature_size=32,
                hidden_dim=32,
                encoder_feedforward_dim=16,
                dim_feedforward=16,
                encoder_layers=1,
                decoder_layers=2,
                num_attention_heads=2,
                num_queries=6,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: index for index, label in enumerate(labels)},
            )
        )
    model.save_pretrained(folder)
    Mask2FormerImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 128}).save_pretrained(folder)
    return folder
