"""The next decision."""

from backend.firmware.machine.pending import Pends
from backend.firmware.machine.vocabulary import Decision, View
from backend.firmware.models import ENDED, Step


def decide(view: View) -> Decision:
    """The next decision; the row in it is a copy. Pure."""
    return Run(view).run()


class Run(Pends):
    """One call of `decide`. Each step's class stands on those of the steps that it may lead to."""

    def run(self) -> Decision:
        steps = {
            Step.WAIT: self.wait,
            Step.CHECK: self.check,
            Step.RESET: self.reset,
            Step.PREPARE: self.prepare,
            Step.DELIVER: self.deliver,
            Step.FETCH: self.fetch,
            Step.VERIFY: self.verify,
            Step.EXECUTE: self.execute,
            Step.INSTALL: self.install,
            Step.HOLD: self.hold,
            Step.UNDO: self.undo,
        }
        if self.row.state not in ENDED:
            self.wants_back()
            self.gives_up()
            # a bound, not a rule: no way through the steps is that long
            for _ in range(20):
                if self.row.state in ENDED or not steps[Step(self.row.step)]():
                    break
            else:
                self.rest_for(60)
        detach = self.v.ask is not None and self.ask is None
        return Decision(self.row, tuple(self.lines), self.cancelled, detach, self.asking, self.deed, self.revoke)
