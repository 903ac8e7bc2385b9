internal import Synchronization

/// The nodes the kernel knows, with their lookup counts (fuse_lowlevel.h, "lookup": every successful entry reply adds
/// one, FORGET takes some away, and at zero the kernel has forgotten the inode).
final class InodeTable: Sendable {
    private struct Record {
        let node: any Node
        var lookups: LookupCount
    }

    private struct Tables {
        var records: [UInt64: Record] = [:]
        var numbers: [NodeKey: UInt64] = [:]
        var next: UInt64 = Inode.root.rawValue + 1
    }

    private let tables: Mutex<Tables>

    init(root: any Node) {
        var tables = Tables()
        tables.records[Inode.root.rawValue] = Record(node: root, lookups: .permanent)
        tables.numbers[root.key] = Inode.root.rawValue
        self.tables = Mutex(tables)
    }

    /// The node of a number the kernel was given; nil for one it should not have.
    func node(_ inode: Inode) -> (any Node)? {
        tables.withLock { $0.records[inode.rawValue]?.node }
    }

    /// The node that stands for a key, if the kernel knows it.
    func node(for key: NodeKey) -> (any Node)? {
        tables.withLock { tables in tables.numbers[key].flatMap { tables.records[$0]?.node } }
    }

    /// Counts one lookup of `candidate`, or of the node that already stands for the same file, and returns that.
    func enter(_ candidate: any Node) -> (Inode, any Node) {
        let key = candidate.key
        let (number, existing) = tables.withLock { tables -> (UInt64, (any Node)?) in
            if let number = tables.numbers[key], let node = tables.records[number]?.node, node.isSameFile(as: candidate)
            {
                tables.records[number]?.lookups.add()
                return (number, node)
            }
            let number = tables.next
            tables.next += 1
            tables.records[number] = Record(node: candidate, lookups: .one)
            tables.numbers[key] = number
            return (number, nil)
        }
        // A number used again by the file system for another file is another node.
        if let existing {
            if existing !== candidate { existing.adopt(candidate) }
            return (Inode(rawValue: number), existing)
        }
        return (Inode(rawValue: number), candidate)
    }

    /// Tells the node that stands for the same file, if the kernel knows it, what is new in `candidate`; counts
    /// nothing.
    func refresh(_ candidate: any Node) {
        node(for: candidate.key)?.adopt(candidate)
    }

    /// Answers FORGET. Forgetting more than was looked up forgets the node and nothing else.
    func forget(_ inode: Inode, count: UInt64) {
        let dropped = tables.withLock { tables -> Record? in
            guard var record = tables.records[inode.rawValue] else { return nil }
            if record.lookups.take(count) {
                tables.records[inode.rawValue] = record
                return nil
            }
            tables.records[inode.rawValue] = nil
            // A newer file may have taken the inode over meanwhile.
            if tables.numbers[record.node.key] == inode.rawValue { tables.numbers[record.node.key] = nil }
            return record
        }
        // The node, and what it holds open, goes outside of the lock.
        _ = dropped
    }

    /// How many nodes the kernel knows, the root included.
    var count: Int { tables.withLock { $0.records.count } }
}

/// How often the kernel has been told of a node; cannot go below zero.
struct LookupCount: Sendable, Equatable {
    private var value: UInt64

    static let one = LookupCount(value: 1)
    /// The root is never forgotten.
    static let permanent = LookupCount(value: .max)

    mutating func add() {
        if value != .max { value += 1 }
    }

    /// Takes `count` away; false when nothing is left.
    mutating func take(_ count: UInt64) -> Bool {
        if value == .max { return true }
        value = value > count ? value - count : 0
        return value > 0
    }
}
