"""Loan approval in PyTorch: the data contract and the features are those of the Python model.

The scripts that train and predict are in the folder `loan_approval_torch/`.
"""

from __future__ import annotations

from include.models.loan_approval import FEATURES, Contract

__all__ = ["FEATURES", "Contract"]
