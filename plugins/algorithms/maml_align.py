"""MAML-Align: a teacher X -> Y and a student Y -> Z, aligned on Y (paper, Algorithm 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from metasearch.algorithm import Adaptation, InnerLoop, Learner, Params
from metasearch.algorithm.outer_loop import copy_into, decay_groups
from metasearch.core import Cost, Encoder, Loss, PairEmbeddings, Task, TripletEmbeddings
from metasearch.errors import ConfigError

X, Y, Z = 0, 1, 2
Embeddings = TripletEmbeddings | PairEmbeddings


class MAMLAlign(InnerLoop):
    """Two inner loops per task, and a loss that pulls the student to the teacher on the examples they share.

    Args:
        inner_steps: n, the teacher's steps on S^X (paper: 5).
        student_inner_steps: n', the student's steps on S^Y (paper: 1).
        inner_lr: alpha, of both (paper: 1e-3).
        outer_lr: beta (paper: 1e-5).
        student_outer_lr: beta', for ``student="separate"``; None: the same as ``outer_lr``.
        order: ``"second"`` or ``"first"``.
        meta_batch_size: b (paper: 4).
        distill: L_kd. ``"kl"``: KL(teacher || student) between softmax(similarity / temperature) over the candidates of each
            Y example, meaned over examples and summed over tasks; ``"kl-pools"``: the same on Z, between the teacher's
            distribution over the answers in the question's own language and the student's over their versions in all languages
            (:func:`kl_of_pools`; wants Z to hold them: ``sampler.versions=true`` and the question's language among Z's);
            ``"kl-losses"``: KL between the softmaxed vectors of per-task losses on Y; ``"mse-losses"``: squared difference of the
            summed losses on Y (the authors' code).
        kd_weight: lambda (paper: 0.5). 0 gives the mean of two MAMLs.
        temperature: tau of ``distill="kl"`` and ``"kl-pools"``.
        student: ``"shared"``: one theta (line 10 of Algorithm 3); ``"separate"``: the student has its own theta', which is
            what is evaluated and saved.
        detach_teacher: the distillation loss teaches the student only.
        keep_graphs, support_parts, inner_layers, weight_decay, dropout, backend: see
            :class:`~metasearch.algorithm.InnerLoop`.

    Reference: paper Algorithm 3; the readings of L_kd are settled in the documentation, because the paper's KL is taken
    between two scalars.
    """

    sets = 3
    citation = "M'hamdi et al. (2023), Multilingual Sentence-Level Semantic Search using Meta-Distillation Learning."

    def __init__(
        self,
        inner_steps: int = 5,
        student_inner_steps: int = 1,
        inner_lr: float = 1e-3,
        outer_lr: float = 1e-5,
        student_outer_lr: float | None = None,
        order: str = "second",
        meta_batch_size: int = 4,
        distill: str = "kl",
        kd_weight: float = 0.5,
        temperature: float = 0.05,
        student: str = "shared",
        detach_teacher: bool = True,
        keep_graphs: int | None = 1,
        support_parts: int = 1,
        inner_layers: int | None = None,
        weight_decay: float = 0.0,
        dropout: bool = False,
        backend: str = "metasearch",
    ) -> None:
        super().__init__(
            inner_steps,
            inner_lr,
            outer_lr,
            order,
            meta_batch_size,
            keep_graphs,
            support_parts,
            inner_layers,
            weight_decay,
            dropout,
            backend,
        )
        if distill not in DISTILL:
            raise ConfigError(f"algo.distill={distill!r}: expected one of {', '.join(DISTILL)}")
        self.student_inner_steps = student_inner_steps
        self.student_outer_lr = outer_lr if student_outer_lr is None else student_outer_lr
        self.distill = distill
        self.kd_weight = kd_weight
        self.temperature = temperature
        self.separate = student == "separate"
        self.detach_teacher = detach_teacher

    def check(self, encoder: Encoder, loss: Loss) -> None:
        super().check(encoder, loss)
        if self.distill == "kl-pools" and encoder.kind != "triplets":
            raise ConfigError("algo.distill=kl-pools is for questions with candidates, not for sentence pairs")

    def start(self, learner: Learner) -> None:
        # What is evaluated and saved is the encoder itself, so the student is the encoder's own parameters.
        self.theta_student = learner.encoder.parameters()
        super().start(learner)

    def initial_theta(self, learner: Learner) -> Params:
        theta = super().initial_theta(learner)
        return {n: p.detach().clone().requires_grad_() for n, p in theta.items()} if self.separate else theta

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = super().parameter_groups()
        if self.separate:
            groups += decay_groups(self.theta_student, self.weight_decay, self.student_outer_lr)
        return groups

    # Algorithm 3, lines 4 to 10. A Task holds (S^X, Q^Y = S^Y, Q^Z): both task batches at once.
    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        log = {"loss": 0.0, "task_loss": 0.0, "kd_loss": 0.0, "teacher_loss": 0.0, "student_loss": 0.0}
        seen = Adaptation(self.order, roles=("", "student"))
        losses_on_y: list[tuple[Tensor, Tensor]] = []
        waiting = torch.zeros((), device=self.learner.encoder.device)
        for task in self.own(tasks):
            f = self.open(task)
            # Line 6, INNER_LOOP(T_{X->Y}, theta, alpha, n), and line 7, INNER_LOOP(T_{Y->Z}, theta', alpha, n').
            loop, student_loop = seen.loop(f.restrict(self.theta)), seen.loop(f.restrict(self.theta_student), "student")
            theta_j = loop.end(self.adapt(f, X, loop.start, self.inner_steps))
            theta_student_j = student_loop.end(self.adapt(f, Y, student_loop.start, self.student_inner_steps))
            teacher_y, student_z = f.embed(theta_j, Y), f.embed(theta_student_j, Z)
            loss_y, loss_z = f.criterion(teacher_y), f.criterion(student_z)
            task_loss = (loss_y + loss_z) / 2  # line 8
            log["task_loss"] += task_loss.item()
            log["teacher_loss"] += loss_y.item()
            log["student_loss"] += loss_z.item()
            if self.distill in BATCH_DISTILL:  # line 9 needs the losses of the whole batch
                losses_on_y.append((loss_y, f.loss(theta_student_j, Y)))
                waiting = waiting + task_loss
            else:  # line 9, a sum over tasks: one task's graph at a time is in memory
                if self.distill == "kl":
                    kd_loss = kl_of_candidates(teacher_y, f.embed(theta_student_j, Y), self.temperature, self.detach_teacher)
                else:
                    with torch.set_grad_enabled(not self.detach_teacher):
                        teacher_z = f.embed(theta_j, Z)
                    kd_loss = kl_of_pools(teacher_z, student_z, self.temperature, self.detach_teacher)
                (task_loss + self.kd_weight * kd_loss).backward()  # line 10
                log["kd_loss"] += kd_loss.item()
            loop.query(f, Y, loss_y)
            student_loop.query(f, Z, loss_z)
        if self.distill in BATCH_DISTILL:
            teacher, student = (self.whole_batch([losses[role] for losses in losses_on_y]) for role in (0, 1))
            kd_loss = BATCH_DISTILL[self.distill](teacher.detach() if self.detach_teacher else teacher, student)
            if losses_on_y:
                (waiting + self.kd_weight * kd_loss).backward()  # line 10
            log["kd_loss"] = kd_loss.item() * (len(losses_on_y) / len(tasks))
        log["loss"] = log["task_loss"] + self.kd_weight * log["kd_loss"]
        return {**{name: value / len(tasks) for name, value in log.items()}, **seen.mean(len(tasks))}

    def cost(self, encoder: Encoder, tokens: Sequence[float]) -> Cost:
        teacher = self.adapting(encoder, self.inner_steps, tokens[X])
        student = self.adapting(encoder, self.student_inner_steps, tokens[Y])
        kept = self.keep_graphs is None or self.keep_graphs > 0
        # The teacher embeds Y and the student Z, and both embed what they are aligned on; all their graphs wait for the same
        # backward pass. For the log the losses at theta: one pass over Y and one over Z.
        aligned = 3 * tokens[Y] if self.distill != "kl-pools" else (1 if self.detach_teacher else 3) * tokens[Z]
        held = tokens[Y] + tokens[Z] + (tokens[Y] if self.distill != "kl-pools" else 0 if self.detach_teacher else tokens[Z])
        return Cost(
            teacher.passes + student.passes + 4 * tokens[Y] + 4 * tokens[Z] + aligned,
            held_once=max(teacher.held_once, student.held_once, held),
            held_twice=teacher.held_twice + student.held_twice if kept else max(teacher.held_twice, student.held_twice),
            copies=teacher.copies + student.copies,
        )

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        if self.separate:
            state["theta_student"] = {n: p.detach() for n, p in self.theta_student.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        if self.separate:
            copy_into(self.theta_student, state["theta_student"])


def kl_of_candidates(teacher: Embeddings, student: Embeddings, temperature: float, detach_teacher: bool = True) -> Tensor:
    """KL(teacher || student) between softmax(similarity / tau) over each example's candidates, meaned over examples.

    For sentence pairs: over the pairs of the set.
    """
    target = teacher.similarities() / temperature
    if detach_teacher:
        target = target.detach()
    return F.kl_div(
        (student.similarities() / temperature).log_softmax(-1),
        target.log_softmax(-1),
        reduction="batchmean",
        log_target=True,
    )


def kl_of_pools(teacher: Embeddings, student: Embeddings, temperature: float, detach_teacher: bool = True) -> Tensor:
    """KL(teacher || student) between a monolingual and a multilingual distribution over a set's answers, meaned over anchors.

    The teacher's is over the answers in the anchor's own language, softmax(similarity / tau). The student's is over the versions
    of these answers in all languages, and its goal for an answer is spread over the versions in equal parts: so it is taught the
    teacher's ranking, and that no language is better than another. Candidates that answer nothing in the set are left out.

    Raises:
        ConfigError: the embeddings have no pool, or an anchor's answer is not there in its own language.
    """
    if not (isinstance(teacher, TripletEmbeddings) and isinstance(student, TripletEmbeddings)):
        raise ConfigError("algo.distill=kl-pools is for questions with candidates, not for sentence pairs")
    if teacher.pool is None or teacher.wrong is None or teacher.own is None or student.pool is None:
        raise ConfigError("algo.distill=kl-pools needs an encoder that gives a pool of candidates and their languages")
    right = ~teacher.wrong  # (m, c): column c answers question j
    mine = right.unsqueeze(0) & teacher.own.unsqueeze(1)  # (m, m, c): ... and is in the language of question i
    if not mine.any(2).diagonal().all():
        raise ConfigError(
            "algo.distill=kl-pools: the last set of a chain must hold answers in the questions' own language, as in "
            "el_{ar,el}, with sampler.versions=true"
        )
    # The best of an answer's versions in the question's language: one, as a rule.
    versions = (teacher.question @ teacher.pool.T).unsqueeze(1).masked_fill(~mine, -torch.inf)
    shared = right.to(versions) / right.sum(1, keepdim=True)
    goal = (versions.amax(2) / temperature).softmax(1) @ shared
    if detach_teacher:
        goal = goal.detach()
    answers = right.any(0)
    shares = (student.question @ student.pool[answers].T / temperature).log_softmax(1)
    goal = goal[:, answers]
    return (goal * (goal.clamp(min=1e-30).log() - shares)).sum(1).mean()


def kl_of_losses(teacher: Tensor, student: Tensor) -> Tensor:
    """KL between the softmaxed vectors of per-task losses, shapes ``(b,)`` and ``(b,)`` -> scalar."""
    return F.kl_div(student.log_softmax(0), teacher.log_softmax(0), reduction="sum", log_target=True)


def mse_of_losses(teacher: Tensor, student: Tensor) -> Tensor:
    """Squared difference of the summed losses, shapes ``(b,)`` and ``(b,)`` -> scalar."""
    return (teacher.sum() - student.sum()).pow(2)


DISTILL = ("kl", "kl-pools", "kl-losses", "mse-losses")
BATCH_DISTILL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl-losses": kl_of_losses,
    "mse-losses": mse_of_losses,
}
