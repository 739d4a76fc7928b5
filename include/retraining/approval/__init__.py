"""What people answer: whether their approval counts, and the reason they give for a change.

It may import the store and the rooms below. Start at `answer.py`; the question that they are asked
is `notifications/approval_request.py`.
"""
