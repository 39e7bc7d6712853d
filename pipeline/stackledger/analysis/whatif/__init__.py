"""What if: the measured requests, replayed on other disks, CPUs and machines.

wanted      what is asked
demand      what every root asked for, read from a capture
cpuuse      how busy its CPUs were, and with whose work
diskuse     the disk that requests use, and their visits to it
simulator   replays demands: CPUs, a limited disk, callers that wait or do not
limiter     a disk's limit on I/Os and bytes
calibration which simulated today is most like the measured one
statistics  figures of latencies, with intervals by block bootstrap
formula     the mean by queueing formulas, beside the replay
words       the volumes and instance types of the command line, parsed
changes     what an option is: a system to replay, and its price
disks       other volumes
machines    more CPUs, more memory, another instance type
hop         a layer less, such as a mesh's sidecar
cache       reads that a larger page cache would answer
prices      what a model's machines and volumes cost a month
tax         machines that are there for what TCP sends again
fleet       how many machines the CPU demand needs
outcomes    what requests see: measured, or replayed
choice      the option to take
answer      all of it: a Prediction
"""
