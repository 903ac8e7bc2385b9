import CSyscalls
import Glibc

/// One way in which a system call can take bytes or a name away, with what each policy of DESIGN 3.1 answers to it.
struct Destruction: Sendable, CustomStringConvertible {
    let description: String
    let row: Row
    let attempt: @Sendable (Victim) throws -> Outcome

    /// The columns of the table.
    enum Row: String, Sendable, CaseIterable {
        case removal, replacement, exchange, whiteout, move, overwrite, append, hiding
    }

    /// What is attacked: files with known bytes below an alias.
    struct Victim {
        let root: String
        var file: String { "\(root)/victim" }
        var other: String { "\(root)/other" }
        var emptyDirectory: String { "\(root)/empty" }
        var fullDirectory: String { "\(root)/full" }
        var inner: String { "\(root)/full/inner" }
    }

    /// The answers that are right. More than one where the file system below decides first.
    func allowed(_ policy: Policy) -> Set<Outcome> {
        if policy == .readOnly { return row == .whiteout ? [.readOnly, .invalid] : [.readOnly] }
        switch (row, policy) {
        case (.removal, _): return [.notPermitted]
        case (.replacement, .keepVersions), (.exchange, .keepVersions), (.move, .keepVersions): return [.ok]
        case (.replacement, _), (.exchange, _), (.move, _): return [.notPermitted]
        case (.whiteout, _): return [.invalid]
        case (.overwrite, .keepVersions), (.overwrite, .keepNames): return [.ok, .notSupported]
        case (.overwrite, _): return [.notPermitted]
        case (.append, .writeOnce): return [.notPermitted]
        case (.append, _): return [.ok]
        case (.hiding, .keepVersions), (.hiding, .keepNames): return [.ok]
        case (.hiding, _): return [.notPermitted]
        }
    }

    private static func opened(_ path: String, _ flags: Int32, _ then: (Descriptor) -> Outcome) -> Outcome {
        let result = cs_open(path, flags, 0o644)
        if result < 0 { return Outcome(result) }
        let file = Descriptor(Int32(result))
        let outcome = then(file)
        let closing = file.close()
        return outcome.succeeded ? closing : outcome
    }

    static let all: [Destruction] = removals + replacements + overwrites + others

    private static let removals: [Destruction] = [
        Destruction(description: "unlink", row: .removal) { Sys.unlink($0.file) },
        Destruction(description: "unlink through ..", row: .removal) { Sys.unlink("\($0.fullDirectory)/../victim") },
        Destruction(description: "unlink below a directory", row: .removal) { Sys.unlink($0.inner) },
        Destruction(description: "rmdir", row: .removal) { Sys.rmdir($0.emptyDirectory) },
        Destruction(description: "unlink of an open file", row: .removal) { victim in
            opened(victim.file, O_RDONLY) { _ in Sys.unlink(victim.file) }
        },
    ]

    private static let replacements: [Destruction] = [
        Destruction(description: "rename over", row: .replacement) { Sys.rename($0.other, $0.file) },
        Destruction(description: "rename over, from another directory", row: .replacement) {
            Sys.rename($0.inner, $0.file)
        },
        Destruction(description: "rename a new file over", row: .replacement) { victim in
            let draft = "\(victim.root)/.new.part"
            let made = Sys.writing(draft, "new")
            return made.succeeded ? Sys.rename(draft, victim.file) : made
        },
        Destruction(description: "RENAME_EXCHANGE", row: .exchange) {
            Sys.rename($0.other, $0.file, flags: Int(CS_EXCHANGE))
        },
        Destruction(description: "RENAME_WHITEOUT", row: .whiteout) {
            Sys.rename($0.file, "\($0.root)/elsewhere", flags: Int(CS_WHITEOUT))
        },
        Destruction(description: "rename away", row: .move) { Sys.rename($0.file, "\($0.root)/elsewhere") },
        Destruction(description: "rename away, NOREPLACE", row: .move) {
            Sys.rename($0.file, "\($0.root)/elsewhere", flags: Int(CS_NOREPLACE))
        },
        Destruction(description: "rename of the parent directory", row: .move) {
            Sys.rename($0.fullDirectory, "\($0.root)/moved")
        },
    ]

    private static let overwrites: [Destruction] = [
        Destruction(description: "open O_TRUNC", row: .overwrite) { Sys.opening($0.file, O_WRONLY | O_TRUNC) },
        Destruction(description: "open O_RDWR|O_TRUNC|O_CREAT", row: .overwrite) {
            Sys.opening($0.file, O_RDWR | O_TRUNC | O_CREAT)
        },
        Destruction(description: "open O_APPEND|O_TRUNC", row: .overwrite) {
            Sys.opening($0.file, O_WRONLY | O_APPEND | O_TRUNC)
        },
        Destruction(description: "truncate to 0", row: .overwrite) { Sys.truncate($0.file, 0) },
        Destruction(description: "truncate to half", row: .overwrite) { Sys.truncate($0.file, 10) },
        Destruction(description: "ftruncate", row: .overwrite) { opened($0.file, O_WRONLY) { $0.truncate(5) } },
        Destruction(description: "ftruncate of O_APPEND", row: .overwrite) { victim in
            // A handle that may append may not cut.
            opened(victim.file, O_WRONLY | O_APPEND) { $0.truncate(5) }
        },
        Destruction(description: "pwrite at 0", row: .overwrite) {
            opened($0.file, O_WRONLY) { $0.write(Array("XXXX".utf8), at: 0) }
        },
        Destruction(description: "pwrite in the middle, O_RDWR", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.write(Array("XXXX".utf8), at: 7) }
        },
        Destruction(description: "write after open O_RDWR", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.write("YY") }
        },
        Destruction(description: "shared mmap store", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.store(0x58, count: 8, at: 0) }
        },
        Destruction(description: "punch hole", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.fallocate(Int(CS_PUNCH), 0, 4096) }
        },
        Destruction(description: "zero range", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.fallocate(Int(CS_ZERO), 0, 4096) }
        },
        Destruction(description: "collapse range", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.fallocate(Int(CS_COLLAPSE), 0, 4096) }
        },
        Destruction(description: "insert range", row: .overwrite) {
            opened($0.file, O_RDWR) { $0.fallocate(Int(CS_INSERT), 0, 4096) }
        },
        Destruction(description: "copy_file_range onto it", row: .overwrite) { victim in
            opened(victim.file, O_WRONLY) { file in
                opened(victim.other, O_RDONLY) { Outcome(cs_copy_file_range($0.number, 0, file.number, 0, 16)) }
            }
        },
        Destruction(description: "FICLONE onto it", row: .overwrite) { victim in
            opened(victim.file, O_WRONLY) { file in
                opened(victim.other, O_RDONLY) { source in
                    let outcome = Outcome(cs_ficlone(file.number, source.number))
                    // What FUSE or the file system below cannot do at all.
                    let impossible: Set<Outcome> = [
                        Outcome(errno: ENOTTY), Outcome(errno: ENOSYS), .crossDevice, .invalid,
                    ]
                    return impossible.contains(outcome) ? .notSupported : outcome
                }
            }
        },
        Destruction(description: "overwrite through a hard link", row: .overwrite) { victim in
            let linked = Sys.link(victim.file, "\(victim.root)/hardlink")
            return linked.succeeded ? Sys.writing("\(victim.root)/hardlink", "Z", flags: O_WRONLY) : linked
        },
        Destruction(description: "truncate through a hard link", row: .overwrite) { victim in
            let linked = Sys.link(victim.file, "\(victim.root)/hardlink")
            return linked.succeeded ? Sys.truncate("\(victim.root)/hardlink", 0) : linked
        },
        Destruction(description: "truncate through a symlink", row: .overwrite) { victim in
            let linked = Outcome(cs_symlink("victim", "\(victim.root)/symlink"))
            return linked.succeeded ? Sys.truncate("\(victim.root)/symlink", 0) : linked
        },
        Destruction(description: "write through /proc/self/fd of a reader", row: .overwrite) { victim in
            opened(victim.file, O_RDONLY) { Sys.writing("/proc/self/fd/\($0.number)", "Q", flags: O_WRONLY) }
        },
    ]

    private static let others: [Destruction] = [
        Destruction(description: "append", row: .append) { Sys.writing($0.file, "more", flags: O_WRONLY | O_APPEND) },
        Destruction(description: "pwrite(0) on an appending handle only appends", row: .append) {
            opened($0.file, O_WRONLY | O_APPEND) { $0.write(Array("tail".utf8), at: 0) }
        },
        Destruction(description: "chmod 000", row: .hiding) { Sys.chmod($0.file, 0) },
        Destruction(description: "chown", row: .hiding) { Sys.chown($0.file, 65534, 65534) },
    ]
}
