"""Tables for a person, figures for a program, and the verdicts."""

# criterion: the bound, and on which side of it the figure has to be
BOUNDS = {
    "smtp_rate": (0.97, "above"),  # of the bare milter's
    "protocol_rate": (0.90, "above"),
    "protocol_cpu": (1.10, "below"),
    # the same with everything that can be switched on
    "everything_smtp_rate": (0.97, "above"),
    "everything_protocol_rate": (0.90, "above"),
    "everything_protocol_cpu": (1.10, "below"),
    "redis_commands": (1.20, "below"),  # at ten times the traffic
    "redis_bytes": (2.00, "below"),
    "fleet_redis": (0.05, "below"),  # of a core
    "fleet_scrape": (250.0, "below"),  # ms of CPU
    "fleet_push": (5.0, "below"),  # ms
    "queue_cpu": (0.5, "below"),  # seconds for 100 000 messages
    "queue_more_cpu": (0.5, "below"),  # the same of a million
    "queue_ratio": (1.0, "below"),  # to postqueue
    "queue_share": (0.0201, "below"),  # of a processor
    "queue_memory": (256.0, "below"),  # kB that a million messages more take
    "log_ratio": (0.1, "below"),  # of pflogsumm's CPU
}
SELF_TEST = 0.03  # off 1


class Report:
    def __init__(self, self_test):
        self.self_test = self_test
        self.results = {"self_test": self_test, "criteria": {}}
        self.failed = []

    def keep(self, name, figures):
        self.results[name] = figures

    def heading(self, text):
        print(f"\n{text}", flush=True)

    def row(self, name, *cells):
        print(f"  {name:<38}" + "".join(f" {cell:>15}" for cell in cells), flush=True)

    def ratios(self):
        self.row("ratio", "estimate", "95 % interval", "bound")

    def ratio(self, name, figure, criterion=None):
        interval = f"{figure['low']:.3f} to {figure['high']:.3f}"
        self.row(name, f"{figure['estimate']:.3f}", interval, *(self.judge(criterion, figure) if criterion else ()))

    def judge(self, criterion, figure):
        """The bound and the verdict, as two cells."""
        bound, side = BOUNDS[criterion]
        value = figure["estimate"]
        if self.self_test:
            bound, side, passed = SELF_TEST, "off 1 by", abs(value - 1) <= SELF_TEST
        else:
            passed = value >= bound if side == "above" else value <= bound
        verdict = "PASS" if passed else "FAIL"
        if not passed:
            self.failed.append(criterion)
        self.results["criteria"][criterion] = {**figure, "bound": bound, "side": side, "verdict": verdict}
        # An interval wider than what is allowed at all: another program used the machine.
        unsure = figure.get("high", 0) - figure.get("low", 0) > 2 * (bound if self.self_test else abs(bound - 1))
        return f"{side} {bound:.2f}", verdict + (" (unsure)" if unsure else "")

    def verdict(self):
        return f"FAIL: {', '.join(self.failed)}" if self.failed else "PASS"
