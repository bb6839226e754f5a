"""Recording a link into a file, and doing what the file says again. The format is docs/capture.md."""
