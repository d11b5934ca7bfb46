"""Formats of annotations and detections: COCO, VisDrone, YOLO."""
