import CLinux
import Glibc
import SystemPackage
import Testing

@testable import FXSystem

@Suite struct DescriptorTests {
    @Test func theOwnersEndClosesAndGivingAwayDoesNot() throws {
        let scratch = try Scratch()
        var number: CInt = -1
        do {
            let file = try scratch.file("f")
            number = file.rawValue
            let identity = try file.status().identity
            let same = try file.duplicate().status().identity
            #expect(identity == same)
        }
        let given = try scratch.file("g").release()
        #expect(fcntl(given, F_GETFD) & FD_CLOEXEC != 0)
        #expect(Glibc.close(given) == 0)
        // Others may take the number at once, but never for this file.
        let link = try? OwnedDescriptor(owning: dup(number)).status().identity
        #expect(try link != scratch.file("f").status().identity)
    }

    @Test func closeReportsWhatTheKernelSays() throws {
        #expect(throws: Errno.badFileDescriptor) { try OwnedDescriptor(owning: 1_000_000).close() }
        try Scratch().file("f").close()
    }

    @Test func aSystemCallThatIsInterruptedRunsAgainAndEveryOtherErrorIsThrown() {
        var calls = 0
        let result = try? retryingOnInterrupt { () -> Int in
            calls += 1
            if calls == 3 { return 5 }
            errno = EINTR
            return -1
        }
        #expect(result == 5 && calls == 3)
        #expect(throws: Errno.noSpace) {
            try retryingOnInterrupt { () -> Int in
                errno = ENOSPC
                return -1
            }
        }
    }

    @Test func readsAndWritesAreWholeAndShortOnlyAtTheEnd() throws {
        let file = try Scratch().file("f")
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        try file.write(bytes, at: 10)
        let back = try file.read(400_000, at: 10)
        #expect(back == bytes)
        let hole = try file.read(10, at: 0)
        #expect(hole == [UInt8](repeating: 0, count: 10))
        let none = try file.read(10, at: 1 << 40)
        #expect(none.isEmpty)
        try file.truncate(to: ByteCount(3))
        let size = try file.status().size
        #expect(size == ByteCount(3))
    }

    @Test func aSparseFileStaysSparse() throws {
        let scratch = try Scratch()
        let source = try scratch.file("source")
        let island = [UInt8](repeating: 7, count: 65536)
        for offset in [0, 16 << 20, 40 << 20] as [UInt64] { try source.write(island, at: offset) }
        try source.truncate(to: ByteCount(64 << 20))
        let copy = try scratch.file("copy")
        let count = try copy.copyContent(from: source)
        let (sourceStatus, status) = (try source.status(), try copy.status())
        #expect(count == ByteCount(64 << 20))
        #expect(status.size == sourceStatus.size)
        #expect(status.blocks * 512 < 2 << 20, "\(status.blocks) blocks")
        for offset in [0, 16 << 20, 40 << 20] as [UInt64] {
            let bytes = try copy.read(65536, at: offset)
            #expect(bytes == island)
        }
        let hole = try copy.read(4096, at: 20 << 20)
        #expect(hole == [UInt8](repeating: 0, count: 4096))
    }

    @Test func emptyAndAllHoleFilesAreCopied() throws {
        let scratch = try Scratch()
        for (index, size) in [0, 1 << 20].enumerated() {
            let source = try scratch.file("s\(index)")
            try source.truncate(to: ByteCount(UInt64(size)))
            let copy = try scratch.file("c\(index)")
            let count = try copy.copyContent(from: source)
            let copied = try copy.status().size
            #expect(count == ByteCount(UInt64(size)) && copied == count)
        }
    }

    /// Every copy is a prefix of what the writer wrote: the writer's byte at offset n is a function of n.
    @Test(.timeLimit(.minutes(1))) func aFileThatGrowsAndShrinksWhileItIsCopiedTrapsNothing() throws {
        let scratch = try Scratch()
        let source = try scratch.file("source")
        let isDone = Monitor(false)
        let path = "\(scratch.path)/source"
        let writer = try ServiceThread(name: "grows") {
            guard let file = try? OwnedDescriptor.open(absolute: path, .readWrite) else { return }
            let block = [UInt8](repeating: 9, count: 32768)
            var offset: UInt64 = 0
            while !isDone.withLock({ $0 }) {
                try? file.write(block, at: offset)
                // A hole after each block, and a fresh start now and then.
                offset += 98304
                if offset > 1 << 20 {
                    offset = 0
                    try? file.truncate(to: .zero)
                }
            }
        }
        defer {
            isDone.withLock { $0 = true }
        }
        for round in 0..<8 {
            let copy = try scratch.file("copy\(round)")
            let count = try copy.copyContent(from: source)
            let size = try copy.status().size
            #expect(size == count)
            let bytes = try copy.read(Int(size.rawValue), at: 0)
            #expect(bytes.allSatisfy { $0 == 0 || $0 == 9 })
        }
        isDone.withLock { $0 = true }
        writer.join()
    }

    @Test func nothingIsOpenedOutsideOfADirectory() throws {
        let scratch = try Scratch()
        let root = try scratch.descriptor()
        try root.makeDirectory(try Name("inside"), mode: 0o755)
        let inside = try root.open(try Name("inside"), .directory)
        try scratch.file("secret").close()
        try inside.open(try Name("file"), [.writeOnly, .create], mode: 0o644).close()
        try inside.makeSymbolicLink(try Name("up"), target: Array("..".utf8))
        try inside.makeSymbolicLink(try Name("absolute"), target: Array("/etc".utf8))
        try inside.makeSymbolicLink(try Name("loop"), target: Array("file".utf8))
        for path in ["up/secret", "absolute/passwd", "up", "absolute", "loop"] {
            #expect(throws: Errno.tooManySymbolicLinkLevels, "\(path)") {
                try inside.openBeneath(try RelativePath(path), .readOnly).close()
            }
        }
        try inside.openBeneath(try RelativePath("file"), .readOnly).close()
        let (same, itself) = (
            try inside.openBeneath(RelativePath(), [.readOnly, .directory]).status(), try inside.status()
        )
        #expect(same.identity == itself.identity)
        #expect(throws: Errno.tooManySymbolicLinkLevels) { try inside.open(try Name("up"), .readOnly).close() }
        let proc = try OwnedDescriptor.open(absolute: "/proc/self", [.readOnly, .directory])
        #expect(throws: Errno.tooManySymbolicLinkLevels) {
            try proc.openBeneath(try RelativePath("cwd"), .readOnly).close()
        }
        let system = try OwnedDescriptor.open(absolute: "/", [.readOnly, .directory])
        #expect(throws: Errno.improperLink) {
            try system.openBeneath(try RelativePath("proc/version"), .readOnly).close()
        }
    }

    @Test func extendedAttributesOfAnySizeSurvive() throws {
        let scratch = try Scratch()
        let file = try scratch.file("f")
        do { try file.setAttribute("user.probe", to: [1]) } catch { return }
        for size in [0, 1, 255, 256, 257, 2000] {
            let value = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            try file.setAttribute("user.value", to: value)
            let back = try file.attribute("user.value")
            #expect(back == value)
            let root = try scratch.descriptor()
            let byName = try Name("user.value").withCString { text throws(Errno) in
                try root.attribute(text, of: Name(constant: "f"))
            }
            #expect(byName == value)
        }
        #expect(throws: Errno.fileExists) { try file.setAttribute("user.value", to: [], .create) }
        #expect(throws: Errno.noAttribute) { try file.setAttribute("user.other", to: [], .replace) }
        let names = try file.attributeNames().split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        #expect(Set(names) == ["user.probe", "user.value"])
        try file.removeAttribute("user.value")
        #expect(throws: Errno.noAttribute) { try file.attribute("user.value") }
        #expect(throws: Errno.noAttribute) { try file.removeAttribute("user.value") }
        let pathOnly = try scratch.file("f", .pathOnly)
        let onPath = try pathOnly.attribute("user.probe")
        #expect(onPath == [1])
    }

    @Test func aDirectoryOf10000EntriesIsListedWholeAndFromAnyOffset() throws {
        let scratch = try Scratch()
        let root = try scratch.descriptor()
        var made: Set<Name> = []
        for index in 0..<10_000 {
            let name = try Name("entry-\(index)-" + String(repeating: "x", count: index % 40))
            try root.makeNode(name, mode: 0o100644, device: 0)
            made.insert(name)
        }
        let names = try root.entryNames()
        #expect(names.count == made.count)
        #expect(Set(names) == made)
        let reader = try root.reopenDirectory()
        var entries: [DirectoryEntry] = []
        while case let next = try reader.readEntries(), !next.isEmpty { entries += next }
        #expect(entries.count == 10_002)
        for index in [0, 1, 4999, 10_000] {
            _ = try reader.seek(entries[index].nextOffset, whence: 0)
            let next = try #require(try reader.readEntries().first)
            #expect(next.name == entries[index + 1].name)
        }
        #expect(entries.allSatisfy { $0.type == .regular || $0.name.bytes.first == 0x2e })
    }

    @Test func aRemovedFileHasNoPathAndAFileWithoutANameCanGetOne() throws {
        let scratch = try Scratch()
        let root = try scratch.descriptor()
        let unnamed = try root.openUnnamed(.readWrite, mode: 0o600)
        #expect(throws: Errno.noSuchFileOrDirectory) { try unnamed.realPath() }
        try unnamed.linkOpenFile(as: try Name("named"), in: root)
        let path = try unnamed.realPath()
        #expect(!path.isEmpty)
        #expect(throws: Errno.fileExists) { try unnamed.linkOpenFile(as: try Name("named"), in: root) }
        try unnamed.write([1, 2], at: 0)
        let again = try unnamed.reopen(.readOnly).read(9, at: 0)
        #expect(again == [1, 2])
    }
}
