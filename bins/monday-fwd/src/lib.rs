//! Opens forwards: over SSH (`ssh`, `ssh-remote`) and from Kubernetes (`kubernetes`, `kubernetes-remote`).
