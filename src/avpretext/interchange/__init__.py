"""What is handed to other tools: labels as an audformat database or CSV, histories as TensorBoard events."""
