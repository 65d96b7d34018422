"""What a sweep teaches: which parameters move an indicator, and which values of them serve several goals best."""
