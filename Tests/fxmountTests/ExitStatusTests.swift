import FXSystem
import SystemPackage
import Testing

@testable import fxmount

@Suite("Exit codes and errors")
struct ExitStatusTests {
    @Test("The exit codes are the documented ones")
    func codes() {
        let expected: [fxmount.ExitStatus: Int32] = [
            .success: 0, .failure: 1, .usage: 2, .temporary: 5, .refused: 7, .configuration: 10, .locked: 11,
            .credentials: 12, .policy: 13, .verification: 24, .workLeft: 75, .timedOut: 124, .interrupted: 130,
            .terminated: 143,
        ]
        #expect(expected.count == fxmount.ExitStatus.allCases.count)
        for (status, code) in expected { #expect(status.rawValue == code) }
    }

    @Test("Wrong usage ends with 2 and not with 64", arguments: [["--nope"], ["nope"], ["mount"], ["list", "extra"]])
    func usage(arguments: [String]) {
        #expect(CommandRun(arguments: ["fxmount"] + arguments).run() == 2)
    }

    @Test("Help and version are successes", arguments: [["--help"], ["mount", "--help"], ["--version"]])
    func help(arguments: [String]) {
        #expect(CommandRun(arguments: ["fxmount"] + arguments).run() == 0)
    }

    @Test("An error is one JSON object with all its keys")
    func json() {
        let failure = CommandFailure(
            .noSuchFileOrDirectory, "cannot mount on", path: "/a\"b", hint: "make it", status: .failure)
        #expect(
            failure.json.text
                == #"{"error":{"code":"failed","exit":1,"errno":"ENOENT","message":"cannot mount on /a\"b: No such file or directory (ENOENT)","hint":"make it","path":"/a\"b"}}"#
        )
        #expect(
            CommandFailure(.usage, "x").json["error"]?.members?.map(\.key) == [
                "code", "exit", "errno", "message", "hint", "path",
            ])
    }

    @Test("An error survives the pipe of a daemon")
    func roundTrip() {
        let failure = CommandFailure(.locked, "held\nby \u{1}", hint: "é\u{1F600}", path: "/x", errno: .wouldBlock)
        #expect(CommandFailure(json: failure.json.text) == failure)
        #expect(CommandFailure(json: "nonsense") == nil)
    }

    @Test("A refusal by a rule is 13, a full disk is temporary, an unknown error is 1")
    func fromErrno() {
        #expect(CommandFailure(describing: Errno.notPermitted).status == .policy)
        #expect(CommandFailure(describing: Errno.noSpace).status == .temporary)
        #expect(CommandFailure(describing: Errno.ioError).status == .failure)
    }
}

@Suite("JSON reading")
struct JSONParsingTests {
    @Test(
        "What is written can be read",
        arguments: [
            #"{"a":[1,-2,3.5,true,false,null],"b":{"c":""},"d":"x\ny\"z\\"}"#, "[]", "{}", "\"\"", "0",
        ])
    func roundTrip(text: String) {
        #expect(JSONValue(parsing: text)?.text == text)
    }

    @Test("Escapes of every kind are decoded")
    func escapes() {
        #expect(JSONValue(parsing: #""\u00e9\ud83d\ude00\/\b""#)?.string == "é\u{1F600}/\u{8}")
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", "{", "[1", "{\"a\"}", "tru", "1 2", "\"a", "{\"a\":1,}", String(repeating: "[", count: 5000),
        ])
    func refused(text: String) {
        #expect(JSONValue(parsing: text) == nil)
    }
}

@Suite("Output")
struct OutputTests {
    @Test("Columns are aligned and lines end without spaces")
    func table() {
        let table = Table(titles: ["A", "LONG"], rows: [["xyz", "1"], ["x", ""]])
        #expect(table.text() == "A    LONG\nxyz  1\nx\n")
    }

    @Test("A mistyped word finds its neighbour, a different one none")
    func suggestion() {
        #expect(Suggestion.nearest(to: "workrs", in: ["workers", "commit"]) == "workers")
        #expect(Suggestion.nearest(to: "zzzzzzzz", in: ["workers", "commit"]) == nil)
    }
}
