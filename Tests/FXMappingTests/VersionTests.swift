import FXSystem
import Foundation
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import FXMapping

/// The file systems a version store has to work on; those that cannot be mounted here are left out, visibly.
enum Backing: String, CaseIterable, CustomTestStringConvertible {
    case temporary, tmpfs, ext4WithoutAttributes, bindfs

    var testDescription: String { rawValue }

    func scratch() throws -> (Scratch, base: Scratch?)? {
        switch self {
        case .temporary: return (try Scratch(), nil)
        case .tmpfs:
            return try Scratch(mounting: { ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", $0] }).map { ($0, nil) }
        case .ext4WithoutAttributes:
            let base = try Scratch()
            guard
                Scratch.run([
                    "sh", "-c", "truncate -s 16M \(base.path)/image && mkfs.ext4 -q -O ^ext_attr \(base.path)/image",
                ]) == 0
            else { return nil }
            return try Scratch(mounting: { ["mount", "-o", "loop", base.path + "/image", $0] }).map { ($0, base) }
        // FUSE: no O_TMPFILE and no FICLONE.
        case .bindfs:
            let base = try Scratch()
            return try Scratch(mounting: { ["bindfs", base.path, $0] }).map { ($0, base) }
        }
    }
}

@Suite struct VersionTests {
    let path = RelativePath()

    private func kept(_ store: VersionStore, _ scratch: Scratch, _ name: Name) throws {
        let file = try scratch.descriptor().open(name, .readOnly)
        try store.keepCopy(of: file, status: try file.status(), path: RelativePath([name]))
    }

    @Test(arguments: Backing.allCases)
    func restoreBringsBackBytesModeAndTimeAndKeepsTheLiveContent(backing: Backing) throws {
        guard let (scratch, base) = try backing.scratch() else {
            print("skipped: \(backing.rawValue) cannot be mounted here")
            return
        }
        // Below the mount until it is gone.
        defer { withExtendedLifetime(base) {} }
        let name = try Name("file")
        let path = RelativePath([name])
        try scratch.write(Array("old".utf8), to: name, mode: 0o640)
        let modified = Timestamp(seconds: 1_000_000_000, nanoseconds: 123_000_000)
        // Both: bindfs drops a change that keeps one of them.
        try scratch.descriptor().open(name, .readWrite).setTimes(accessed: .set(modified), modified: .set(modified))
        let store = try VersionStore(root: try scratch.descriptor())
        try kept(store, scratch, name)
        try scratch.write(Array("newer".utf8), to: name, mode: 0o600)
        let version = try #require(try store.list(path).first)
        #expect(version.mode & 0o7777 == 0o640)
        #expect(version.modified == modified)
        let previous = try #require(try store.restore(version))
        #expect(try scratch.read(name) == Array("old".utf8))
        let status = try scratch.descriptor().status(of: name)
        #expect(status.permissions == 0o640)
        #expect(status.modified == modified)
        #expect(status.linkCount == 1)
        #expect(try content(of: try store.open(previous)) == Array("newer".utf8))
        #expect(previous.mode & 0o7777 == 0o600)
        #expect(try store.list(path).count == 2)
        #expect(try content(of: try store.open(version)) == Array("old".utf8))
    }

    @Test func restoreMakesAMissingFileAnew() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([1, 2, 3], to: name)
        let store = try VersionStore(root: try scratch.descriptor())
        try kept(store, scratch, name)
        try scratch.descriptor().rename(name, to: try Name("away"), in: try scratch.descriptor())
        let version = try #require(try store.list(RelativePath([name])).first)
        #expect(try store.restore(version) == nil)
        #expect(try scratch.read(name) == [1, 2, 3])
        #expect(try scratch.read(try Name("away")) == [1, 2, 3])
    }

    @Test func userAttributesAreKept() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([1], to: name)
        do { try scratch.descriptor().open(name, .readOnly).setAttribute("user.note", to: [7, 8]) } catch { return }
        let store = try VersionStore(root: try scratch.descriptor())
        try kept(store, scratch, name)
        let version = try #require(try store.list(RelativePath([name])).first)
        #expect(try store.open(version).attribute("user.note") == [7, 8])
    }

    static let oddNames: [[UInt8]] =
        ["plain", "@", "@@", "@^", "@20260101T000000.000000000Z-1-1", "new\nline", ".fxversions2", "@partial-0"]
        .map { Array($0.utf8) } + longNames
    static let longNames: [[UInt8]] = [
        [0xff, 0xfe], [UInt8](repeating: 0x78, count: 255), [0x40] + [UInt8](repeating: 0x78, count: 254),
        [UInt8](repeating: 0x40, count: 255),
    ]

    @Test(arguments: oddNames)
    func anyNameHasItsOwnVersions(bytes: [UInt8]) throws {
        let scratch = try Scratch()
        let name = try Name(validating: bytes)
        try scratch.write(bytes, to: name)
        let store = try VersionStore(root: try scratch.descriptor())
        try kept(store, scratch, name)
        try store.keepLinked(name, in: try scratch.descriptor(), path: RelativePath([try Name("dir"), name, name]))
        let versions = try store.list(RelativePath([name]))
        #expect(versions.count == 1)
        #expect(try content(of: try store.open(try #require(versions.first))) == bytes)
        #expect(try store.list(RelativePath([try Name("dir"), name, name])).count == 1)
        #expect(try store.list(RelativePath([try Name("dir"), name])).isEmpty)
    }

    @Test func noTwoPathsShareAVersionDirectory() throws {
        var random = SeededGenerator()
        var seen: [[Name]: RelativePath] = [:]
        for _ in 0..<20_000 {
            let components = try (0..<Int.random(in: 1...3, using: &random)).map { _ in
                let length = [1, 2, 3, 254, 255].randomElement(using: &random) ?? 1
                var bytes = [UInt8](repeating: 97, count: length)
                for index in 0..<min(3, length) {
                    bytes[index] = Array("@^#a".utf8).randomElement(using: &random) ?? 64
                }
                return try Name(validating: bytes)
            }
            let path = RelativePath(components)
            let place = try VersionPath.components(of: path)
            if let other = seen[place] { #expect(other == path) }
            seen[place] = path
            let isTakenForAVersion = place.dropFirst().contains { VersionStamp(entry: $0.bytes) != nil }
            #expect(!isTakenForAVersion)
        }
    }

    @Test func stampsSurviveTheRoundTripAndSortByTime() throws {
        var random = SeededGenerator()
        var stamps: [VersionStamp] = []
        for _ in 0..<2000 {
            let stamp = VersionStamp(
                madeAt: Timestamp(
                    seconds: .random(in: 0...253_402_300_799, using: &random),
                    nanoseconds: .random(in: 0..<1_000_000_000, using: &random)),
                sourceInode: random.next(), sourceChanged: random.next(), number: Int.random(in: 1...12, using: &random)
            )
            #expect(VersionStamp(stamp.text) == stamp, "\(stamp.text)")
            stamps.append(stamp)
        }
        let byTime = stamps.sorted().map(\.madeAt)
        let byText = stamps.sorted { $0.text < $1.text }.map(\.madeAt)
        #expect(byTime == byText)
        let leapDay = VersionStamp(
            madeAt: Timestamp(seconds: 951_782_400, nanoseconds: 5), sourceInode: 10, sourceChanged: 255, number: 1)
        #expect(leapDay.text == "20000229T000000.000000005Z-a-ff")
        for text in [
            "", "20000229T000000.000000005Z-a-FF", "20000229T000000.000000005Z-a-ff-1",
            "20000230T000000.000000005Z-a-ff", "partial-0",
        ] {
            #expect(VersionStamp(text) == nil)
        }
    }

    @Test func copiesMadeAtOnceNeverCollide() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([9], to: name)
        let frozen = WallClock { Timestamp(seconds: 1, nanoseconds: 0) }
        let stores = [
            try VersionStore(root: try scratch.descriptor(), clock: frozen),
            try VersionStore(root: try scratch.descriptor(), clock: frozen),
        ]
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 64) { index in
            do { try kept(stores[index % 2], scratch, name) } catch { failures.withLock { $0.append("\(error)") } }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(try stores[0].list(RelativePath([name])).map(\.stamp.number).sorted() == Array(1...64))
    }

    @Test func aFullDiskLeavesNoHalfVersion() throws {
        guard let scratch = try Scratch(mounting: { ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", $0] }) else {
            return
        }
        let name = try Name("file")
        let bytes = [UInt8](repeating: 7, count: 600 << 10)
        try scratch.write(bytes, to: name)
        let store = try VersionStore(root: try scratch.descriptor())
        #expect(throws: Errno.noSpace) { try kept(store, scratch, name) }
        #expect(try store.list(RelativePath([name])).isEmpty)
        #expect(try scratch.read(name) == bytes)
        // Taking the name away needs no space.
        try store.keepLinked(name, in: try scratch.descriptor(), path: RelativePath([name]))
        #expect(try store.list(RelativePath([name])).count == 1)
    }

    @Test func aFileWithMoreNamesIsCopiedAndNotLinked() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([1], to: name)
        let root = try scratch.descriptor()
        try root.link(name, to: try Name("other"), in: root)
        let store = try VersionStore(root: root)
        try store.keepLinked(name, in: root, path: RelativePath([name]))
        #expect(try root.status(of: name).linkCount == 2)
        try scratch.write([2], to: try Name("other"))
        let version = try #require(try store.list(RelativePath([name])).first)
        let bytes = try content(of: try store.open(version))
        #expect(bytes == [1])
    }

    @Test func aLinkLeftByACrashBecomesACopyBeforeTheFileChanges() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        let path = RelativePath([name])
        try scratch.write([1], to: name)
        let root = try scratch.descriptor()
        let store = try VersionStore(root: root, clock: laterClock)
        try store.keepLinked(name, in: root, path: path)
        let status = try root.status(of: name)
        #expect(status.linkCount == 2)
        #expect(!store.hasCurrentCopy(status: status, path: path))
        try kept(store, scratch, name)
        #expect(try root.status(of: name).linkCount == 1)
        try scratch.write([2], to: name)
        for version in try store.list(path) { #expect(try content(of: try store.open(version)) == [1]) }
    }

    @Test func aLinkLeftByACrashBecomesACopyAlsoWhenTheFileHasAnotherPathNow() throws {
        let scratch = try Scratch()
        let root = try scratch.descriptor()
        let (file, odd, directory) = (try Name("file"), try Name("@odd"), try Name("d"))
        try scratch.write([0], to: file)
        try scratch.write([1], to: odd)
        try root.makeDirectory(directory, mode: 0o700)
        let inner = try root.open(directory, [.readOnly, .directory])
        try root.rename(odd, to: odd, in: inner)
        let before = try VersionStore(root: root)
        try before.keepLinked(file, in: root, path: RelativePath([file]))
        try before.keepLinked(odd, in: inner, path: RelativePath([directory, odd]))
        try root.rename(file, to: try Name("renamed"), in: root)
        try root.rename(directory, to: try Name("moved"), in: root)

        let store = try VersionStore(root: root)
        try store.separateLeftovers(isGivenUp: { false })
        #expect(try root.status(of: try Name("renamed")).linkCount == 1)
        #expect(try inner.status(of: odd).linkCount == 1)
        try scratch.write([9], to: try Name("renamed"))
        let version = try #require(try store.list(RelativePath([file])).first)
        #expect(try content(of: try store.open(version)) == [0])
        let other = try #require(try store.list(RelativePath([directory, odd])).first)
        #expect(try content(of: try store.open(other)) == [1])
    }

    @Test func aSearchForLeftoversThatIsGivenUpIsDueAgain() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([1], to: name)
        let root = try scratch.descriptor()
        let store = try VersionStore(root: root)
        try store.separateLeftovers(isGivenUp: { true })
        try VersionStore(root: root).keepLinked(name, in: root, path: RelativePath([name]))
        let later = try VersionStore(root: root)
        #expect(throws: Errno.interrupted) { try later.separateLeftovers(isGivenUp: { true }) }
        #expect(try root.status(of: name).linkCount == 2)
        try later.separateLeftovers(isGivenUp: { false })
        #expect(try root.status(of: name).linkCount == 1)
    }

    @Test func aCurrentCopyIsKnownAndAnOldOneIsNot() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        let path = RelativePath([name])
        try scratch.write([1], to: name)
        let root = try scratch.descriptor()
        let racy = try VersionStore(root: root)
        try kept(racy, scratch, name)
        #expect(!racy.hasCurrentCopy(status: try root.status(of: name), path: path))
        let store = try VersionStore(root: root, clock: laterClock)
        try kept(store, scratch, name)
        #expect(store.hasCurrentCopy(status: try root.status(of: name), path: path))
        // Another process knows it as well, by looking.
        #expect(try VersionStore(root: root).hasCurrentCopy(status: try root.status(of: name), path: path))
        #expect(!store.hasCurrentCopy(status: try root.status(of: name), path: RelativePath([try Name("other")])))
        try scratch.write([2], to: name)
        #expect(!store.hasCurrentCopy(status: try root.status(of: name), path: path))
    }

    @Test func aHintIsVerified() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([1], to: name)
        let root = try scratch.descriptor()
        let store = try VersionStore(root: root, clock: laterClock)
        try kept(store, scratch, name)
        try FileManager.default.removeItem(atPath: scratch.path + "/.fxversions")
        #expect(!store.hasCurrentCopy(status: try root.status(of: name), path: RelativePath([name])))
    }

    @Test(arguments: [".fxversions", ".fxversions/dir", ".fxversions/dir/file"])
    func aPlantedSymlinkIsAnErrorAndNothingOutsideIsTouched(planted: String) throws {
        let scratch = try Scratch()
        let outside = try Scratch()
        let name = try Name("file")
        try scratch.write([1], to: name)
        let place = scratch.path + "/" + planted
        try FileManager.default.createDirectory(
            atPath: (place as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: outside.path)
        let store = try VersionStore(root: try scratch.descriptor())
        let path = RelativePath([try Name("dir"), name])
        let file = try scratch.descriptor().open(name, .readOnly)
        #expect(throws: Errno.self) { try store.keepCopy(of: file, status: try file.status(), path: path) }
        #expect(throws: Errno.self) { try store.keepLinked(name, in: try scratch.descriptor(), path: path) }
        #expect(throws: Errno.self) { try store.list(path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside.path).isEmpty)
    }

    @Test func versionsArePrivate() throws {
        let scratch = try Scratch()
        let name = try Name("file")
        try scratch.write([1], to: name)
        let store = try VersionStore(root: try scratch.descriptor())
        try kept(store, scratch, name)
        #expect(try scratch.descriptor().status(of: try Name(".fxversions")).permissions == 0o700)
        #expect(throws: Errno.invalidArgument) { try store.list(RelativePath([try Name(".fxversions"), name])) }
        #expect(throws: Errno.invalidArgument) { try store.list(RelativePath()) }
        #expect(VersionStore.isReserved(try Name(".fxversions")))
    }

    @Test func nothingEverStoredIsLostInARandomHistory() throws {
        var random = SeededGenerator()
        let scratch = try Scratch()
        let root = try scratch.descriptor()
        let store = try VersionStore(root: root)
        let names = [try Name("a"), try Name("@b")]
        var stored: [Name: Set<[UInt8]>] = [:]
        for step in 0..<150 {
            let name = names.randomElement(using: &random) ?? names[0]
            let path = RelativePath([name])
            let bytes = Array("\(step)".utf8)
            let exists = (try? root.status(of: name)) != nil
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                if exists { try kept(store, scratch, name) }
                try scratch.write(bytes, to: name)
                stored[name, default: []].insert(bytes)
            case 1:
                let temporary = try Name("temporary")
                try scratch.write(bytes, to: temporary)
                if exists { try store.keepLinked(name, in: root, path: path) }
                try root.rename(temporary, to: name, in: root)
                stored[name, default: []].insert(bytes)
            default:
                if let version = try store.list(path).randomElement(using: &random) { try store.restore(version) }
            }
        }
        for (name, contents) in stored {
            var found: Set<[UInt8]> = [try scratch.read(name)]
            for version in try store.list(RelativePath([name])) {
                found.insert(try content(of: try store.open(version)))
            }
            #expect(found.isSuperset(of: contents))
        }
    }
}
