internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// Where the log of a journal and its database meet.
struct LogPosition: Sendable, Equatable {
    /// Random, made with the database: a log that has another one belongs to another journal.
    var identity: UInt64
    /// The last record whose changes the database has.
    var applied: UInt64
}

/// The write-ahead log of the journal: what was committed last, a record for each batch, one durable write each.
///
/// A caller waits for this file and not for the database, which gets the changes of many records in one transaction
/// later. Records are written from the start of the file once the database has all of them, over the old ones, each in
/// blocks of its own: a file that does not grow is written past the page cache, and without its metadata. An old record
/// is told from a new one by its number.
///
/// The journal's thread only, but for `read`.
final class JournalLog: Sendable {
    private struct State {
        /// Where the next record begins.
        var end: UInt64 = 0
        /// Of the last record that is durable.
        var sequence: UInt64
        /// Of the last one that may be in the file.
        var attempted: UInt64
        /// How far there are blocks to write over.
        var size: UInt64
        /// Takes no record until the database has everything.
        var isClosed = false
    }

    /// 4 MiB: some 200 files of 16 KiB before the database is brought up to date. What is in the log is in memory as well.
    static let capacity: UInt64 = 4 << 20
    /// What a write past the page cache is a multiple of, on every disk there is.
    static let block: UInt64 = 4096
    /// By how much the file grows at a time.
    private static let growth: UInt64 = 1 << 20

    private let file: OwnedDescriptor
    private let identity: UInt64
    private let buffer = AlignedBuffer(alignment: Int(block))
    private let state: Mutex<State>

    /// Opens the file, and makes it when it is missing. The database has everything that is in it: it is emptied, so that no
    /// old record can ever be taken for a new one.
    init(path: String, position: LogPosition) throws(RemoteError) {
        do throws(Errno) {
            // What is written is on the disk when the call returns.
            file = try OwnedDescriptor.open(absolute: path, [.readWrite, .create, .dataSync], mode: 0o600)
            // A log nobody finds after a power cut would be one without records.
            try OwnedDescriptor.open(absolute: FilePath(path).removingLastComponent().string, .directory).sync()
        } catch { throw .local(error, during: .journal) }
        // Where it cannot be emptied it is written over.
        try? file.truncate(to: .zero)
        // Past the page cache takes half the time of the processor, and of the caller's wait. Not every file system can.
        try? file.setDirect(true)
        identity = position.identity
        state = Mutex(State(sequence: position.applied, attempted: position.applied, size: 0))
    }

    /// The number of the last record that may be in the file: what the database has once it has everything.
    var attempted: UInt64 { state.withLock { $0.attempted } }

    /// Writes one record, durably.
    /// - Returns: false when it does not fit behind the others.
    /// - Throws: `.local`; the record counts as not written, and the log takes no other until `startOver`.
    func append(_ changes: [JournalChange]) throws(RemoteError) -> Bool {
        let (place, sequence, isClosed) = state.withLock { ($0.end, $0.sequence + 1, $0.isClosed) }
        if isClosed { return false }
        let record = JournalRecord(
            identity: identity, sequence: sequence, statements: changes.effective.map(JournalStatement.init)
        ).bytes
        let end = place + JournalLog.blocks(record.count)
        if end > JournalLog.capacity { return false }
        state.withLock { $0.attempted = sequence }
        do throws(Errno) {
            try grow(to: end)
            do throws(Errno) { try write(record, to: end, at: place) } catch {
                // Some of it may be on the disk all the same. Nobody is promised what happens to it; better nothing.
                try? write([], to: place + JournalLog.block, at: place)
                throw error
            }
        } catch {
            close()
            throw .local(error, during: .journal)
        }
        state.withLock { state in
            state.end = end
            state.sequence = sequence
        }
        return true
    }

    /// Takes no more until the database has everything: what failed, here or there, may be on the disk all the same, and
    /// must not be followed by something that counts on its absence.
    func close() { state.withLock { $0.isClosed = true } }

    private static func blocks(_ count: Int) -> UInt64 { (UInt64(count) + block - 1) / block * block }

    /// Writes `bytes`, and zeros up to `end`.
    private func write(_ bytes: [UInt8], to end: UInt64, at place: UInt64) throws(Errno) {
        let piece = unsafe buffer.fill(with: bytes, upTo: Int(end - place))
        do throws(Errno) { try unsafe file.write(piece, at: place) } catch {
            // The disk has larger blocks than ours, or the file system changed its mind.
            if error != .invalidArgument { throw error }
            try file.setDirect(false)
            try unsafe file.write(piece, at: place)
        }
    }

    /// Makes room to write over, a lot at a time: a file that grows with each record has its metadata written with each.
    private func grow(to end: UInt64) throws(Errno) {
        let size = state.withLock { $0.size }
        if end <= size { return }
        let wanted = min(max(end, size + JournalLog.growth), JournalLog.capacity)
        do throws(Errno) { try write([], to: wanted, at: size) } catch {
            // The last blocks of the disk: what this record does not need is left to others.
            let reached = (try? file.status().size.rawValue) ?? size
            resize(to: reached < end ? size : end)
            if reached < end { throw error }
            return
        }
        state.withLock { $0.size = wanted }
    }

    /// Leaves the disk what no record needs yet.
    func giveBack() { resize(to: state.withLock { $0.end }) }

    private func resize(to size: UInt64) {
        guard (try? file.truncate(to: ByteCount(size))) != nil else { return }
        state.withLock { $0.size = size }
    }

    /// The database has everything: the next record is written over the first.
    func startOver() {
        state.withLock { state in
            state.end = 0
            state.isClosed = false
            state.sequence = state.attempted
        }
    }

    /// Gives the disk back what the file takes. The database has everything.
    func empty() { resize(to: 0) }

    /// Reads the records at the start of a log, each one number after the one before.
    ///
    /// Any thread, also while a mount writes: a record that is being written is the end. Nothing behind the end is read.
    /// - Parameter path: of a file that may be missing.
    static func read(path: String) throws(RemoteError) -> [JournalRecord] {
        do throws(Errno) {
            let file = try OwnedDescriptor.open(absolute: path, .readOnly)
            return try records { place, count throws(Errno) in try file.read(count, at: place) }
        } catch {
            if error == .noSuchFileOrDirectory { return [] }
            throw .local(error, during: .journal)
        }
    }

    /// - Parameter read: bytes of the file, fewer than wanted at its end.
    static func records<Failure: Error>(
        _ read: (UInt64, Int) throws(Failure) -> [UInt8]
    ) throws(Failure) -> [JournalRecord] {
        var records: [JournalRecord] = []
        var place: UInt64 = 0
        while place < capacity {
            let head = try read(place, JournalRecord.headBytes)
            guard let length = JournalRecord.length(head), UInt64(length) <= capacity - place,
                let record = JournalRecord(try read(place, length))
            else { break }
            if let last = records.last, record.identity != last.identity || record.sequence != last.sequence + 1 {
                break
            }
            records.append(record)
            place += blocks(length)
        }
        return records
    }
}

extension LogPosition {
    /// Of the records of a log, those the database has to be given.
    /// - Throws: `.journal(.otherLog)` when the log does not go on where the database ends: the one was put back without
    ///   the other.
    func unapplied(_ records: [JournalRecord]) throws(RemoteError) -> [JournalRecord] {
        guard let first = records.first else { return [] }
        if first.identity != identity || first.sequence > applied + 1 { throw .journal(.otherLog) }
        return records.filter { $0.sequence > applied }
    }
}
