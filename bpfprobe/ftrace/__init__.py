"""VERB: bound -> ftrace. The line of ``dynamic_events`` that means the same, where there is one."""
