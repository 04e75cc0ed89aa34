"""The server's side of a rollout: which requests the candidate answers, how they get there, and what is counted.

`mainspring.api.splitting` is the contract. The stable pods do all of it, so there is no hop for requests that they keep,
and whatever a candidate does, the pod that was asked can still answer itself.
"""
