"""The models: NAME.yaml holds values, NAME.py holds contract, features and estimator."""
