import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Random system calls against a model of what was sealed: whatever happens, every sealed content stays readable.
    @Suite("Fuzzer") struct FuzzTests {
        @Test(
            "After thousands of random system calls every sealed byte is still readable",
            arguments: [(Policy.keepVersions, true), (.keepVersions, false), (.appendOnly, true), (.writeOnce, false)])
        func nothingSealedIsLost(policy: Policy, passthrough: Bool) throws {
            let count = Environment.number("FXMOUNT_FUZZ_OPERATIONS", default: 4000)
            let type = TypeSpecification(name: "data", policy: policy)
            try withMount(MountSetup(types: [type], passthrough: passthrough, seconds: 240)) { mounted in
                var fuzzer = Fuzzer(
                    root: mounted.alias(), policy: policy,
                    random: .forTest("fuzz \(policy.rawValue) passthrough \(passthrough)"))
                // To find the operation that loses something: look after every so many of them, and stop at the first
                // loss.
                let interval = Environment.number("FXMOUNT_FUZZ_CHECK_EVERY", default: 0)
                for step in 1...count {
                    fuzzer.step()
                    guard interval > 0, step % interval == 0 else { continue }
                    let kept = try Kept.contents(mounted.backing("data"))
                    let lost = fuzzer.promises.values.filter { !$0.isKept(among: kept) }
                    if lost.isEmpty { continue }
                    Issue.record(
                        "lost after step \(step): \(lost)\nseed \(fuzzer.random.seed)\n\(fuzzer.journal(last: 150))")
                    return fuzzer.finish()
                }
                fuzzer.finish()
                let kept = try Kept.contents(mounted.backing("data"))
                for promise in fuzzer.promises.values where !promise.isKept(among: kept) {
                    Issue.record(
                        "lost: \(promise)\nseed \(fuzzer.random.seed), last operations:\n\(fuzzer.journal(naming: promise.path))"
                    )
                }
                #expect(fuzzer.promises.count > count / 20, "the fuzzer sealed too little to mean anything")
                if policy == .keepVersions { try restoreSome(mounted, fuzzer) }
            }
        }

        /// Versions come back through the command line, and bringing one back loses nothing.
        private func restoreSome(_ mounted: Mounted, _ fuzzer: Fuzzer) throws {
            var restored = 0
            for path in fuzzer.liveFiles().prefix(12) {
                let before = try Kept.contents(mounted.backing("data"))
                let listed = try mounted.fxmount(Contract.listVersions(path))
                guard listed.code == 0, let version = try Contract.versions(listed.output).last else { continue }
                let shown = try mounted.fxmount(Contract.showVersion(path, version)).expect(ExitCode.ok)
                try mounted.fxmount(Contract.restoreVersion(path, version)).expect(ExitCode.ok)
                #expect(try waitUntil(seconds: 5) { try Sys.text(path) == shown.output }, "\(path) \(version)")
                let after = try Kept.contents(mounted.backing("data"))
                demand(before.isSubset(of: after), "restoring \(path) lost a content (seed \(fuzzer.random.seed))")
                restored += 1
            }
            #expect(restored > 0, "nothing had a version")
        }
    }
}

/// A content somebody was promised: a close through the mount answered success.
private struct Promise: CustomStringConvertible {
    let path: String
    let content: [UInt8]
    let policy: Policy
    let step: Int

    /// Appending changes no sealed byte, so a file may have grown since where the policy lets it.
    func isKept(among kept: Set<[UInt8]>) -> Bool {
        kept.contains(content) || (policy != .writeOnce && kept.contains { $0.starts(with: content) })
    }
    var description: String { "step \(step) \(path): \(content.count) bytes \(content.prefix(24))" }
}

/// Makes random calls on a small alphabet of names, and remembers what was sealed.
private struct Fuzzer {
    let root: String
    let policy: Policy
    var random: SeededRandom
    /// By content, because equal contents are one promise.
    var promises: [[UInt8]: Promise] = [:]
    private var open: [(path: String, file: Descriptor, writes: Bool)] = []
    private var done: [String] = []
    private var step_ = 0
    /// Few, so that calls meet; where a name can be used once only, more.
    private let names: [String]
    private let directories = ["", "/p", "/q", "/p/r"]

    init(root: String, policy: Policy, random: SeededRandom) {
        (self.root, self.policy, self.random) = (root, policy, random)
        let ordinary = policy == .keepVersions ? ["a", "b", "c", "d"] : (0..<300).map { "n\($0)" }
        names = ordinary + ["x.part", "y.tmp", "z~"]
    }

    func journal(naming path: String) -> String {
        let short = path.dropFirst(root.count)
        return done.filter { $0.contains(short) }.suffix(40).joined(separator: "\n")
    }

    func journal(last count: Int) -> String { done.suffix(count).joined(separator: "\n") }

    func liveFiles() -> [String] {
        ((try? Sys.files(below: root)) ?? []).map { "\(root)/\($0)" }.filter { !isTemporary($0) }
    }

    private func isTemporary(_ path: String) -> Bool {
        path.hasSuffix(".part") || path.hasSuffix(".tmp") || path.hasSuffix("~")
    }

    private mutating func path() -> String {
        root + directories.randomElement(using: &random)! + "/" + names.randomElement(using: &random)!
    }

    private mutating func note(_ text: String, _ outcome: Outcome) {
        done.append("\(step_) \(text.replacingRoot(root)) = \(outcome)")
    }

    mutating func step() {
        step_ += 1
        let (target, second) = (path(), path())
        let length = Int.random(in: 0...6000, using: &random)
        switch Int.random(in: 0..<24, using: &random) {
        case 0...3: openForWriting(target)
        case 4...6: write(length)
        case 7...9: closeOne()
        case 10: note("unlink \(target)", Sys.unlink(target))
        case 11...12:
            let outcome = Sys.rename(target, second)
            note("rename \(target) \(second)", outcome)
            if outcome.succeeded && isTemporary(target) { promiseWhatIs(second) }
        case 13:
            let outcome = Sys.rename(
                target, second, flags: Int([CS_EXCHANGE, CS_NOREPLACE, CS_WHITEOUT].randomElement(using: &random)!))
            note("renameat2 \(target) \(second)", outcome)
        case 14: note("truncate \(target) \(length / 3)", truncating(target, length / 3))
        case 15: note("link \(target) \(second)", Sys.link(target, second))
        case 16: note("mkdir \(target)", Sys.mkdir(root + directories.randomElement(using: &random)!))
        case 17: note("rmdir \(target)", Sys.rmdir(root + directories.randomElement(using: &random)!))
        case 18: allocate(length)
        case 19: store(length)
        case 20: copyRange()
        case 21: note("chmod \(target)", Sys.chmod(target, [0o644, 0o600, 0].randomElement(using: &random)!))
        case 22: note("write all \(target)", writingAll(target, length))
        default: truncateOpen(length / 2)
        }
    }

    private mutating func openForWriting(_ target: String) {
        if open.count > 5 { closeOne() }
        let flags = [
            O_WRONLY | O_CREAT, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_TRUNC,
            O_WRONLY | O_APPEND, O_RDWR,
            O_RDONLY,
        ].randomElement(using: &random)!
        let result = cs_open(target, flags, 0o644)
        note("open \(target) \(flags)", Outcome(result))
        if result >= 0 { open.append((target, Descriptor(Int32(result)), flags & O_ACCMODE != O_RDONLY)) }
    }

    private mutating func pick() -> (path: String, file: Descriptor, writes: Bool)? {
        open.randomElement(using: &random)
    }

    private mutating func write(_ length: Int) {
        guard let (path, file, _) = pick() else { return }
        let offset = Int.random(in: 0...4000, using: &random)
        let bytes = random.bytes(length)
        note("pwrite \(path) \(offset) \(length)", file.write(bytes, at: offset))
    }

    private mutating func allocate(_ length: Int) {
        guard let (path, file, _) = pick() else { return }
        let mode = Int([CS_PUNCH, CS_ZERO, CS_COLLAPSE, CS_INSERT, 0].randomElement(using: &random)!)
        note("fallocate \(path) \(mode)", file.fallocate(mode, 0, max(length & ~4095, 4096)))
    }

    private mutating func store(_ length: Int) {
        guard let (path, file, _) = pick(), let size = try? file.status().size, size > 64 else { return }
        let byte = UInt8.random(in: 0...255, using: &random)
        note("mmap store \(path)", file.store(byte, count: min(length, 64), at: 0))
    }

    private mutating func copyRange() {
        guard let (from, source, _) = pick(), let (to, target, _) = pick(), source !== target else { return }
        note("copy_file_range \(from) \(to)", Outcome(cs_copy_file_range(source.number, 0, target.number, 0, 512)))
    }

    private mutating func truncateOpen(_ length: Int) {
        guard let (path, file, _) = pick() else { return }
        note("ftruncate \(path) \(length)", file.truncate(length))
    }

    private func truncating(_ path: String, _ length: Int) -> Outcome { Sys.truncate(path, length) }

    private mutating func writingAll(_ path: String, _ length: Int) -> Outcome {
        do {
            try Sys.write(path, random.bytes(length))
        } catch {
            return (error as? CallFailed)?.outcome ?? .ok
        }
        promiseWhatIs(path)
        return .ok
    }

    private mutating func closeOne() {
        guard let index = open.indices.randomElement(using: &random) else { return }
        let (path, file, writes) = open.remove(at: index)
        let outcome = file.close()
        note("close \(path)", outcome)
        // The name may have moved meanwhile: what is promised is what the name shows now.
        if outcome.succeeded && writes { promiseWhatIs(path) }
    }

    /// The present content of an ordinary name is sealed when nobody writes it any more.
    private mutating func promiseWhatIs(_ path: String) {
        guard !isTemporary(path), let status = try? Sys.status(path), status.mode & S_IFMT == S_IFREG else { return }
        let stillWritten = open.contains { $0.writes && (try? $0.file.status().inode) == status.inode }
        guard !stillWritten, let content = try? Sys.read(path), !content.isEmpty else { return }
        if promises[content] == nil {
            promises[content] = Promise(path: path, content: content, policy: policy, step: step_)
        }
    }

    mutating func finish() { while !open.isEmpty { closeOne() } }
}

extension String {
    fileprivate func replacingRoot(_ root: String) -> String {
        split(separator: root, omittingEmptySubsequences: false).joined(separator: "·")
    }
}
