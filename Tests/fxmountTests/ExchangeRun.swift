import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import fxmount

/// Writes a script that can be run, by a process of its own: while a file is open for writing here, a process that another
/// test starts may inherit it for a moment, and the script is "busy" then (ETXTBSY, execve(2)).
func makeProgram(_ path: String, _ script: String) throws {
    let child = try ChildProcess(
        ChildRequest(
            executable: "/bin/sh",
            arguments: ["-c", #"printf '%s\n' '#!/bin/sh' "$1" >"$2" && chmod 755 "$2""#, "sh", script, path],
            environment: [:]))
    _ = child.readReport(until: nil)
    try #require(child.waitForExit() == 0)
}

/// `fxmount file` and `fxmount type` as somebody types them.
struct ExchangeRun {
    let program: ProgramRun
    var path: String { program.scratch.path }
    static let executable = Bundle.main.bundlePath + "/fxmount"

    init() throws {
        try #require(FileManager.default.fileExists(atPath: ExchangeRun.executable), "the program is not built")
        program = ProgramRun(scratch: try TemporaryDirectory())
    }

    var environment: [String: String] {
        [
            "HOME": path, "XDG_CONFIG_HOME": path + "/config", "FXMOUNT_STATE_DIR": program.state,
            "PATH": "\(path)/bin:/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8",
        ]
    }

    @discardableResult
    func callAsFunction(_ arguments: String...) throws -> ProgramRun.Result { try run(arguments) }

    func run(
        _ arguments: [String], _ extra: [String: String] = [:], executable: String = ExchangeRun.executable
    ) throws -> ProgramRun.Result {
        let log = path + "/errors-\(UUID().uuidString)"
        let child = try ChildProcess(
            ChildRequest(
                executable: executable, arguments: arguments, environment: environment.merging(extra) { $1 },
                errorLog: log))
        let output = child.readReport(until: .after(.seconds(60)))
        let code = child.waitForExit()
        return ProgramRun.Result(
            code: code, output: String(decoding: output ?? [], as: UTF8.self),
            errors: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }

    func directory(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        return "\(path)/\(name)"
    }

    func write(_ text: String, to name: String) throws -> String {
        try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
        return "\(path)/\(name)"
    }

    func text(_ name: String) -> String? { try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

    /// The type `clinic/NAME`, mapped to a directory of that name.
    func map(_ name: String = "scans", policy: String = "keep-versions", entity: String = "clinic") throws {
        let result = try run(
            ["type", "create", entity, name, "--path", try directory(name), "--no-prompt", "--policy", policy])
        #expect(result.code == 0, "\(result)")
    }

    /// A desktop whose chooser does what the script says.
    func desktop(zenity script: String) throws -> [String: String] {
        try makeProgram(try directory("bin") + "/zenity", script)
        return ["DISPLAY": ":9"]
    }
}
