internal import FXSystem

/// The limit of a remote in both directions. Belongs to the transport's thread.
///
/// Contents of files are held up: bodies of requests that are read from a content, and bodies of answers that are a range or
/// go to a sink for bytes. Other bodies go at once, for a question has little time; what they take is taken from the contents' share.
final class TransferRates {
    private var sending: SharedRate
    private var receiving: SharedRate

    /// - Parameter limit: bytes a second, for all exchanges together, in each direction.
    init(limit: ByteCount, now: ContinuousDeadline) {
        sending = SharedRate(limit: limit, now: now)
        receiving = SharedRate(limit: limit, now: now)
    }

    /// How much of a content the slot may send now, in bytes; 0 when it has to wait for its turn.
    func allowanceToSend(_ slot: SharedRate.Member, at now: ContinuousDeadline) -> Int {
        sending.allowance(of: slot, at: now)
    }

    func sent(_ count: Int, by slot: SharedRate.Member) { sending.spend(count, by: slot) }

    /// False when a piece of a content has to wait for the slot's turn.
    func allowsReceiving(_ slot: SharedRate.Member, at now: ContinuousDeadline) -> Bool {
        receiving.allowance(of: slot, at: now) > 0
    }

    func received(_ count: Int, by slot: SharedRate.Member) { receiving.spend(count, by: slot) }

    func isWaiting(_ slot: SharedRate.Member) -> Bool { sending.isWaiting(slot) || receiving.isWaiting(slot) }

    /// A slot that may go on; nil when none may.
    func next(at now: ContinuousDeadline) -> SharedRate.Member? { sending.next(at: now) ?? receiving.next(at: now) }

    func leave(_ slot: SharedRate.Member) {
        sending.leave(slot)
        receiving.leave(slot)
    }

    /// When to ask for the next one; nil while nobody waits.
    var nextTurn: ContinuousDeadline? {
        [sending.nextTurn, receiving.nextTurn].compactMap { $0 }.min()
    }
}
