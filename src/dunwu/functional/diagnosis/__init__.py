"""The well-known ailments of reinforcement learning, found in the figures of a stage's steps. Pure."""
