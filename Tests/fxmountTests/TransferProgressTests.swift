import FXSystem
import Foundation
import Testing

@testable import fxmount

/// How a long copy looks to whoever waits for it. strace makes it long, whatever the disk can do: the kernel does not copy,
/// each of 32 pieces takes its time, and so does writing them out where blocks are shared after all.
@Suite(
    "Progress of large copies", .timeLimit(.minutes(3)),
    .enabled(
        if: FileManager.default.fileExists(atPath: "/usr/bin/strace")
            && FileManager.default.fileExists(atPath: ExchangeRun.executable), "needs strace"))
struct TransferProgressTests {
    private let fxmount: ExchangeRun
    private static let slowly = [
        "-f", "-qq", "-o", "/dev/null", "-e", "trace=copy_file_range,pwrite64,fsync", "-e",
        "inject=copy_file_range:error=ENOSYS", "-e", "inject=pwrite64:delay_enter=60000", "-e",
        "inject=fsync:delay_enter=700000", ExchangeRun.executable,
    ]

    init() throws {
        fxmount = try ExchangeRun()
        try fxmount.map()
        // Not written into the type from here: a program another test starts at that moment would have it open for writing,
        // and what somebody writes is not copied (E14).
        let source = try fxmount.write(String(repeating: "7", count: 8 << 20), to: "large")
        let put = try fxmount("file", "put", source, "clinic", "scans")
        try #require(put.code == 0, "\(put)")
    }

    private func copy(to name: String, _ more: String...) -> [String] {
        TransferProgressTests.slowly + ["file", "copy", "clinic", "scans", "large", "scans", name] + more
    }

    private func isCopied(_ name: String) -> Bool {
        FileManager.default.contentsEqual(
            atPath: "\(fxmount.path)/scans/large", andPath: "\(fxmount.path)/scans/\(name)")
    }

    @Test("On a terminal a bar shows how much of the whole file is copied, and is taken away at the end")
    func terminal() throws {
        let terminal = try Terminal()
        let child = try terminal.start(["strace"] + copy(to: "copy"), environment: fxmount.environment)
        #expect(terminal.waits(for: "\r["), "\(terminal.unread)")
        #expect(terminal.waits(for: " of 8.00 MiB  0/1 files"), "\(terminal.unread)")
        // Drawn again in the same line, with a byte count that can only have grown.
        #expect(terminal.waits(for: "\u{1b}[K\r[#"), "\(terminal.unread)")
        #expect(terminal.waits(for: "\r\u{1b}[K"), "\(terminal.unread)")
        _ = child.readReport(until: .after(.seconds(60)))
        #expect(child.waitForExit() == 0)
        #expect(isCopied("copy"))
    }

    @Test("Where stderr is a file nothing of it is written, but for lines with --progress")
    func file() throws {
        let silent = try fxmount.run(copy(to: "silent"), executable: "strace")
        #expect(silent.code == 0 && isCopied("silent"), "\(silent)")
        for sign in ["\r", "\u{1b}", "%", "MiB of"] { #expect(!silent.errors.contains(sign), "\(silent)") }
        let told = try fxmount.run(copy(to: "told", "--progress"), executable: "strace")
        #expect(told.code == 0 && isCopied("told"), "\(told)")
        #expect(told.errors.contains("% ") && told.errors.contains(" of 8.00 MiB  0/1 files\n"), "\(told)")
        #expect(!told.errors.contains("\r") && !told.errors.contains("\u{1b}"), "\(told)")
    }

    @Test("With --json or --quiet a terminal stays as it was", arguments: ["--json", "--quiet"])
    func silentTerminal(option: String) throws {
        let terminal = try Terminal()
        let script = "printf begin >&2; \"$@\"; code=$?; printf end >&2; exit $code"
        let child = try terminal.start(
            ["sh", "-c", script, "sh", "strace"] + copy(to: "copy", option), environment: fxmount.environment)
        #expect(terminal.waits(for: "beginend"), "\(terminal.unread)")
        _ = child.readReport(until: .after(.seconds(60)))
        #expect(child.waitForExit() == 0)
        #expect(isCopied("copy"))
    }

    @Test("With --json --progress writes lines of JSON on stderr, and stdout holds the answer alone")
    func json() throws {
        let told = try fxmount.run(copy(to: "told", "--json", "--progress"), executable: "strace")
        let lines = told.errors.split(separator: "\n").map { JSONValue(parsing: $0) }
        #expect(!lines.isEmpty && lines.allSatisfy { $0?["progress"]?["bytes_total"] == 8_388_608 }, "\(told)")
        #expect(JSONValue(parsing: told.output)?["name"] == "told", "\(told)")
    }
}
