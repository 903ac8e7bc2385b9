import FXSystem
import SystemPackage
import Testing

@testable import FXFuse

@Suite struct InodeTests {
    let root = PlainNode(.root)

    @Test func aLookupCountNeverGoesBelowZeroAndTheRootsNeverEnds() {
        var count = LookupCount.one
        count.add()
        let left = [count.take(1), count.take(1), count.take(.max)]
        #expect(left == [true, false, false])
        count.add()
        #expect(count == .one)
        var permanent = LookupCount.permanent
        permanent.add()
        let stays = [permanent.take(.max), permanent.take(5)]
        #expect(stays == [true, true])
        #expect(permanent == .permanent)
    }

    @Test func oneFileIsOneNodeHoweverOftenItIsFound() {
        let table = InodeTable(root: root)
        let (first, node) = table.enter(PlainNode(.type(1)))
        let again = PlainNode(.type(1))
        let (second, known) = table.enter(again)
        #expect(first == second && node === known && known !== again)
        #expect((known as? PlainNode)?.timesAdopted == 1)
        let (same, _) = table.enter(known)
        #expect(same == first && (known as? PlainNode)?.timesAdopted == 1)
        #expect(table.count == 2)
        table.forget(first, count: 2)
        #expect(table.node(first) === known)
        table.forget(first, count: 1)
        #expect(table.node(first) == nil)
        #expect(table.count == 1)
    }

    @Test func forgettingTooMuchForgetsThatNodeAndNothingElse() {
        let table = InodeTable(root: root)
        let (one, _) = table.enter(PlainNode(.type(1)))
        let (two, _) = table.enter(PlainNode(.type(2)))
        table.forget(one, count: .max)
        table.forget(one, count: 1)
        table.forget(FXFuse.Inode(rawValue: 999), count: 1)
        table.forget(.root, count: .max)
        #expect(table.node(one) == nil)
        #expect(table.node(two) != nil)
        #expect(table.node(.root) === root)
    }

    @Test func aForgottenFileComesBackUnderANewNumber() {
        let table = InodeTable(root: root)
        let (old, _) = table.enter(PlainNode(.type(1)))
        table.forget(old, count: 1)
        let candidate = PlainNode(.type(1))
        let (new, node) = table.enter(candidate)
        #expect(new != old && new != .root && node === candidate)
        #expect(table.node(old) == nil)
        // A late FORGET of the old number does not touch the new one.
        table.forget(old, count: 5)
        #expect(table.node(new) === candidate)
    }

    @Test func refreshTellsTheKnownNodeAndCountsNothing() {
        let table = InodeTable(root: root)
        table.refresh(PlainNode(.type(1)))
        #expect(table.count == 1)
        let (inode, node) = table.enter(PlainNode(.type(1)))
        table.refresh(PlainNode(.type(1)))
        #expect((node as? PlainNode)?.timesAdopted == 1)
        table.forget(inode, count: 1)
        #expect(table.count == 1)
    }

    @Test(.timeLimit(.minutes(1))) func lookupsAndForgetsFromManyThreadsAddUp() throws {
        let table = InodeTable(root: root)
        let ended = Monitor(0)
        let wrong = Monitor(0)
        var random = SeededGenerator()
        for _ in 0..<4 {
            // Each thread forgets only what it was told of, in any order and in portions, as the kernel does.
            let schedule = (0..<5000).map { _ in (key: Int64(random.next() % 8), forgets: random.next() % 3 > 0) }
            _ = try ServiceThread(name: "kernel") {
                var known: [FXFuse.Inode: UInt64] = [:]
                for step in schedule {
                    if step.forgets, let (inode, count) = known.first {
                        if table.node(inode) == nil { wrong.withLock { $0 += 1 } }
                        known[inode] = nil
                        table.forget(inode, count: count)
                    } else {
                        let (inode, node) = table.enter(PlainNode(.type(step.key)))
                        if node.key != .type(step.key) || table.node(inode) !== node { wrong.withLock { $0 += 1 } }
                        known[inode, default: 0] += 1
                    }
                }
                for (inode, count) in known { table.forget(inode, count: count) }
                ended.withLock { $0 += 1 }
            }
        }
        #expect(ended.wait(until: .after(.seconds(50))) { $0 == 4 ? () : nil } != nil)
        #expect(wrong.withLock { $0 } == 0)
        #expect(table.count == 1)
    }

    @Test func withoutAKernelEveryHandleIsCachedAndCounted() throws {
        let registry = BackingRegistry()
        let scratch = try Scratch()
        let file = try scratch.descriptor().open(try Name("f"), [.readWrite, .create], mode: 0o600)
        let mode = InodeMode()
        for wanted in [true, false, true] {
            guard case .cached = mode.enter(wanted: wanted, file, registry) else { return #expect(Bool(false)) }
        }
        #expect(mode.present == nil)
        for _ in 0..<3 { mode.leave(registry) }
        // Free again: the next first handle decides anew.
        guard case .cached = mode.enter(wanted: true, file, registry) else { return #expect(Bool(false)) }
        mode.leave(registry)
        #expect(registry.register(file) == nil)
        registry.unregister(BackingID(rawValue: 1))
    }

    @Test func aConnectionWithoutPassthroughRegistersNothing() throws {
        let registry = BackingRegistry()
        registry.connect(device: -1, negotiation: PassthroughWire.Negotiation(wanted: true))
        let file = try Scratch().descriptor()
        #expect(registry.register(file) == nil)
    }

    @Test func passthroughIsOnOnlyWhenWantedOfferedAndAnswered() {
        for (wanted, flags2, isOn) in [(true, 1 << 5, true), (false, 1 << 5, false), (true, 0, false)]
            as [(Bool, UInt32, Bool)]
        {
            let negotiation = PassthroughWire.Negotiation(wanted: wanted)
            negotiation.sawInit(flags: 1 << 30, flags2: flags2)
            #expect(!negotiation.isOn && !negotiation.hasAnsweredInit)
            #expect(negotiation.takeInitReply().passthrough == isOn)
            #expect(negotiation.isOn == isOn && negotiation.hasAnsweredInit)
        }
        // flags2 means nothing without FUSE_INIT_EXT.
        let old = PassthroughWire.Negotiation(wanted: true)
        old.sawInit(flags: 1 << 28, flags2: 1 << 5)
        let choice = old.takeInitReply()
        #expect(!choice.passthrough && choice.killPrivileges)
    }

    @Test func virtualNumbersNeverCollide() {
        var seen: [UInt64: String] = [:]
        func note(_ number: UInt64, _ what: String) {
            if let other = seen[number] { Issue.record("\(what) and \(other) are both \(number)") }
            seen[number] = what
        }
        note(InodeNumbers.root, "root")
        note(InodeNumbers.types, "types")
        note(InodeNumbers.sessions, "sessions")
        note(InodeNumbers.control, "control")
        for index in 0..<300 {
            note(InodeNumbers.controlFile(index), "control file \(index)")
            note(InodeNumbers.entity(Int64(index)), "entity \(index)")
            note(InodeNumbers.type(Int64(index)), "type \(index)")
            note(InodeNumbers.remote(index), "remote \(index)")
            for remote in 0..<16 {
                note(InodeNumbers.entry(remote: remote, id: UInt64(index)), "entry \(remote).\(index)")
            }
        }
    }

    @Test func theSaltIsOneToOneWithinAFileSystemAndNeverTheVirtualOne() {
        var random = SeededGenerator()
        let systems = (0..<2000).map { $0 < 1000 ? UInt64($0) : random.next() }
        for system in systems {
            var numbers: Set<UInt64> = []
            for inode in [0, 1, 2, 1 << 40, 1 << 47, (1 << 48) - 1] as [UInt64] {
                let number = InodeNumbers.mapped(inode, fileSystem: system)
                #expect(number >> 48 != InodeNumbers.types >> 48)
                #expect(number & 0xffff_ffff_ffff == inode)
                numbers.insert(number)
            }
            #expect(numbers.count == 6)
            #expect(InodeNumbers.mapped(5, fileSystem: system) == InodeNumbers.mapped(5, fileSystem: system))
        }
        let salts = Set(systems.map { InodeNumbers.mapped(0, fileSystem: $0) })
        #expect(salts.count > 1900, "similar ids fall together: \(salts.count)")
    }

    @Test func aVirtualListingGoesOnWhereASmallBufferEnded() throws {
        var random = SeededGenerator()
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for index in 0..<40 {
            let node = PlainNode(.type(Int64(index)))
            entries.append((try Name("t\(index)"), node, try node.status(using: nil)))
        }
        let wanted = [".", ".."] + entries.map { $0.name.description }
        let listing = VirtualListing(entries, inode: 9)
        let caller = Caller(uid: 0, gid: 0, thread: 0)
        let unknown = ListingStatus { _ in nil }
        for withStatus in [true, false] {
            var (offset, names): (Int64, [String]) = (0, [])
            while true {
                var room = Int(random.next() % 5) + 1
                var isEmpty = true
                try listing.enumerate(from: offset, status: withStatus ? unknown : nil, by: caller) { entry in
                    if room == 0 { return false }
                    room -= 1
                    isEmpty = false
                    names.append(String(decoding: entry.name.bytes, as: UTF8.self))
                    #expect((entry.found != nil) == (withStatus && entry.name.bytes.first != 0x2e))
                    offset = entry.nextOffset
                    return true
                }
                if isEmpty { break }
            }
            #expect(names == wanted)
        }
        for offset in [Int64.min, -1, 0] {
            var first: [UInt8] = []
            try listing.enumerate(from: offset, status: nil, by: caller) { entry in
                first = entry.name.bytes
                return false
            }
            #expect(first == [0x2e])
        }
        for offset in [42, 43, Int64.max] {
            var count = 0
            try listing.enumerate(from: offset, status: nil, by: caller) { _ in
                count += 1
                return true
            }
            #expect(count == 0)
        }
    }
}
