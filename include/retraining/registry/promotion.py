"""The registry: what changes the champion."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, datetime

from include.retraining.approval.reason import checked_reason
from include.retraining.documents import sha256_of
from include.retraining.exceptions import Held, RegistryError, Superseded, TooSoon
from include.retraining.formatting.times import utc_minute
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Verdict
from include.retraining.registry import versions
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import CLOCK_TOLERANCE, PromotionLog
from include.retraining.registry.promotion_rules import (
    checked_version,
    newer_data_serves,
    promoted_too_recently,
    require_evidence,
)
from include.retraining.registry.removal import refuse_marked
from include.retraining.registry.versions import VersionManifest
from include.retraining.runs.manifest import RunManifest
from include.retraining.store import layout
from include.retraining.store.object_store import Store


class Registry:
    """The power to change the champion: one model's promotion log and the rules for adding to it.

    Readers take the log itself.
    """

    def __init__(self, store: Store, model: str) -> None:
        self.store = store
        self.model = model
        self.log = PromotionLog(store, model)

    def append(self, entry: PromotionEntry) -> PromotionEntry | None:
        """Put an entry if its number is free, chained to the one before it, and read it back.

        Returns:
            The entry as stored, or None when another entry has the number.

        Raises:
            RegistryError: when what was written cannot be read back.
        """
        before = self.log.read(entry.generation - 1) if entry.generation > 1 else None
        chained = entry.model_copy(update={"previous_sha256": before and sha256_of(before)})
        key, data = layout.promotion_key(self.model, entry.generation), chained.to_bytes()
        if not self.store.create(key, data):
            return None
        if self.store.read(key) != data:
            raise RegistryError(f"{self.store.uri}/{key}: what was written cannot be read back")
        return chained

    def promote(
        self,
        *,
        manifest: RunManifest,
        verdict: Verdict,
        report: EvaluationReport,
        actor: str,
        reason: str,
        clear: int = 0,
    ) -> PromotionEntry:
        """Promote a run's challenger, if its verdict passed and nothing changed since.

        Safe to repeat: the same run with the same verdict gets the entry that it has.

        Args:
            manifest: of the run.
            verdict: the gate's answer, as stored.
            report: what it was made from.
            actor: the DAG, or the user who triggered the run.
            reason: one sentence.
            clear: which clear of the run this is.

        Raises:
            InfrastructureError: while `gc` removes the version: another try finds it gone or not.
            RegistryError: when verdict, report and manifest do not belong together or do not pass.
            ArtifactError: when the version's files are not what its manifest says.
            Superseded: when another entry was made since the evaluation, newer data serves already,
                or this version was rolled back.
            Held: while a rollback holds automatic promotion.
            TooSoon: before `gates.min_days_between_promotions` have passed.
        """
        require_evidence(manifest, verdict, report)
        version, digest = checked_version(self.store, self.model, manifest.version)
        versions.check_provenance(version, manifest)
        head, judged_against = self.log.head(), verdict.judged_against
        if head > judged_against:
            return self._existing_entry_or_raise(manifest, verdict)
        self._require_promotable(manifest, version, head=head, judged_against=judged_against)
        entry = PromotionEntry(
            model=self.model,
            generation=judged_against + 1,
            kind=PromotionKind.PROMOTION,
            version=manifest.version,
            version_digest=digest,
            previous_sha256=None,
            nonce=uuid.uuid4().hex,
            judged_against=judged_against,
            verdict_digest=verdict.content_digest,
            metric=report.metric,
            value=report.challenger.metrics.get(report.metric),
            judged=report.judged_score,
            data_date=manifest.params.date.isoformat(),
            run_id=manifest.run_id,
            clear=clear,
            actor=actor,
            reason=reason,
            created_at=datetime.now(UTC),
        )
        return self.append(entry) or self._existing_entry_or_raise(manifest, verdict)

    def rollback(
        self,
        version: str,
        *,
        actor: str,
        reason: str,
        seen: int | None = None,
        request: str | None = None,
    ) -> PromotionEntry:
        """Make an earlier champion serve again. Nothing is trained, nothing is judged.

        From here on no run promotes, until someone releases that with a reason. Safe to repeat: the
        same rollback by the same actor, or for the same request, gets the entry that it has.

        Args:
            version: it must have served.
            actor: the user.
            reason: one line.
            seen: the generation that the user decided on; None for the current one.
            request: identifies the user's request (`PromotionEntry.request`).

        Raises:
            NotFound: when the version never served.
            RegistryError: when it serves already, or actor or reason are missing.
            ArtifactError: when its files are not what its manifest says.
            Superseded: when another entry was made meanwhile: check the champion before retrying.
        """
        reason = checked_reason(actor, reason)
        champion = self._require_champion()
        if seen is not None and champion.generation != seen:
            return self._manual_entry_or_raise(seen, request)
        if champion.version == version:
            last_change = (champion.kind, champion.actor, champion.reason)
            if last_change == (PromotionKind.ROLLBACK, actor, reason):
                return champion
            raise RegistryError(f"{self.model}: version {version} serves already")
        earlier = self.log.served(version)
        checked_version(self.store, self.model, version, earlier.version_digest)
        changes = {
            "kind": PromotionKind.ROLLBACK,
            "actor": actor,
            "reason": reason,
            "request": request,
            "is_held": True,
        }
        return self._append_manual(champion, earlier.model_copy(update=changes))

    def release(self, *, actor: str, reason: str, request: str | None = None) -> PromotionEntry:
        """Resume automatic promotion after a rollback; the champion is unchanged.

        Safe to repeat: the same release by the same actor gets the entry that it has.

        Args:
            actor: the user.
            reason: one line.
            request: identifies the user's request (`PromotionEntry.request`).

        Raises:
            RegistryError: when nothing is held, or actor or reason are missing.
            Superseded: when another entry was made meanwhile: check the champion before retrying.
        """
        reason = checked_reason(actor, reason)
        champion = self._require_champion()
        if not champion.is_held:
            last_change = (champion.kind, champion.actor, champion.reason)
            if last_change == (PromotionKind.RELEASE, actor, reason):
                return champion
            raise RegistryError(f"{self.model}: nothing is on hold, runs may promote")
        changes = {
            "kind": PromotionKind.RELEASE,
            "actor": actor,
            "reason": reason,
            "request": request,
            "is_held": False,
        }
        return self._append_manual(champion, champion.model_copy(update=changes))

    def promote_unjudged(
        self,
        version: str,
        *,
        actor: str,
        reason: str,
        trusted: Collection[str] = (),
        seen: int | None = None,
    ) -> PromotionEntry:
        """Promote a version that the gate could not judge, because the champion cannot be scored.

        Args:
            version: it must verify and load.
            actor: the user.
            reason: why the gate is overridden.
            trusted: what may be loaded or run (`Training.trusted`).
            seen: the generation that it was judged against; None for the current one.

        Raises:
            InfrastructureError: while `gc` removes the version.
            NotFound: when there is no such version.
            ArtifactError: when it does not verify or load.
            RegistryError: when it serves already, or nothing does, or actor or reason are missing.
            Superseded: when another entry was made meanwhile: check the champion before retrying.
        """
        reason = checked_reason(actor, reason)
        champion = self._require_champion()
        if seen is not None and champion.generation != seen:
            return self._manual_entry_or_raise(seen, None)
        if champion.version == version:
            raise RegistryError(f"{self.model}: version {version} serves already")
        manifest, digest = checked_version(self.store, self.model, version)
        versions.load_estimator(self.store, manifest, trusted)
        refuse_marked(self.store, self.model, version)
        changes = {
            "kind": PromotionKind.UNJUDGED,
            "version": version,
            "version_digest": digest,
            "metric": None,
            "value": None,
            "judged": None,
            "data_date": manifest.data_date,
            "run_id": manifest.run_id,
            "actor": actor,
            "reason": reason,
            "request": None,
        }
        return self._append_manual(champion, champion.model_copy(update=changes))

    def _append_manual(self, champion: PromotionEntry, template: PromotionEntry) -> PromotionEntry:
        """Append a manual entry after the champion that the user saw."""
        changes = {
            "generation": champion.generation + 1,
            "nonce": uuid.uuid4().hex,
            "judged_against": champion.generation,
            "verdict_digest": None,
            "clear": None,
            "created_at": datetime.now(UTC),
        }
        entry = self.append(template.model_copy(update=changes))
        return entry or self._manual_entry_or_raise(champion.generation, template.request)

    def _manual_entry_or_raise(self, seen: int, request: str | None) -> PromotionEntry:
        """Return the entry after the one that the user saw, if their request made it.

        Raises:
            Superseded: when it is another's.
        """
        faster = self.log.entry(seen + 1)
        if request is not None and faster.request == request:
            return faster
        raise Superseded(
            f"{self.model}: {faster.actor} was faster, version {faster.version} became generation "
            f"{faster.generation}; look again before trying again"
        )

    def _require_champion(self) -> PromotionEntry:
        champion = self.log.champion()
        if champion is None:
            raise RegistryError(
                f"{self.model}: nothing serves yet; a run must promote the first version"
            )
        return champion

    def _require_promotable(
        self, manifest: RunManifest, version: VersionManifest, *, head: int, judged_against: int
    ) -> None:
        """Refuse a challenger behind a gap of the log, a hold, newer data, too soon or marked."""
        if head < judged_against:
            raise RegistryError(
                f"{self.model}: the challenger was judged against generation {judged_against}, "
                f"and the log ends at {head}: entries are missing"
            )
        if head:
            self._require_no_hold()
            champion = self.log.entry(head)
            self._require_newer(manifest, version, champion)
            early = promoted_too_recently(manifest, self.log, champion, datetime.now(UTC))
            if early is not None:
                raise TooSoon(early)
        refuse_marked(self.store, self.model, manifest.version)

    def _require_no_hold(self) -> None:
        """Refuse while a rollback holds automatic promotion."""
        hold = self.log.hold()
        if hold is not None:
            raise Held(
                f"automatic promotion is on hold: {hold.actor} rolled back to version "
                f"{hold.version} at {utc_minute(hold.created_at)} ({hold.reason}); release "
                f"it with a reason: trigger `release_model` in the UI, or `release {self.model} "
                f"--reason …`"
            )

    def _require_newer(
        self, manifest: RunManifest, version: VersionManifest, champion: PromotionEntry
    ) -> None:
        """Refuse data older than the champion's, and a version that was rolled back."""
        rolled_back = self._rollback_of(version)
        if rolled_back:
            raise Superseded(
                f"version {version.version} was rolled back by {rolled_back.actor} "
                f"({rolled_back.reason}); `rollback_model` can make it serve again"
            )
        newer = newer_data_serves(manifest, champion)
        if newer is not None:
            raise Superseded(newer)

    def _rollback_of(self, version: VersionManifest) -> PromotionEntry | None:
        """Return the rollback that took a version out of service, unless it served again since."""
        for entry in self.log.newest_first():
            if entry.version == version.version or (
                entry.created_at < version.created_at - CLOCK_TOLERANCE  # it was not made yet
            ):
                return None
            is_rollback = entry.kind is PromotionKind.ROLLBACK
            if is_rollback and self.log.entry(entry.generation - 1).version == version.version:
                return entry
        return None

    def _existing_entry_or_raise(self, manifest: RunManifest, verdict: Verdict) -> PromotionEntry:
        """Return the entry behind the one judged against if it is this run's.

        Raises:
            Superseded: when it is another's.
        """
        entry = self.log.entry(verdict.judged_against + 1)
        expected = (manifest.run_id, manifest.version, verdict.content_digest)
        if (entry.run_id, entry.version, entry.verdict_digest) == expected:
            return entry
        raise Superseded(
            f"version {entry.version} became generation {entry.generation} ({entry.kind.value} by "
            f"{entry.actor}) after this challenger was scored"
        )
