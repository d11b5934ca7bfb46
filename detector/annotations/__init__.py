"""Annotated images and results on disk: COCO, VisDrone, YOLO."""
