internal import FXMapping
internal import FXSystem

/// Tells of transfers one after another on a thread of its own: a server that tells its user waits for no notification.
///
/// When many wait already, further ones are left out: who sends files by the hundred does not read a notice for each.
struct QueuedNotices: TransferNotices {
    let notices: any TransferNotices
    private let lane = CallLane(name: "fx-notices", threads: 1, capacity: 16)

    init(_ notices: any TransferNotices) { self.notices = notices }

    func tell(_ transfer: TransferRecord) {
        let notices = notices
        // One that is left out changes nothing about its transfer (TransferNotices).
        _ = lane.submit { notices.tell(transfer) }
    }
}
