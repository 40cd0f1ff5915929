"""Studies on the reference trainer, whose truth is measured: how often the diagnosis is right.

`design` draws what to train, `work` trains and diagnoses one configuration, `study` runs many of them in
parallel and survives a kill, `table` is what comes out, `scores`, `statistics`, `peers` and `report` are made
from that table alone, `calibrate` turns it into the confidences that gandoctor prints.
"""
