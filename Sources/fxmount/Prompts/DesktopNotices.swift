internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// Tells of the end of a transfer with `notify-send`, where there is one.
struct DesktopNotices: TransferNotices {
    var surroundings: Surroundings
    /// A notification server that takes longer is not there.
    var patience = Duration.seconds(5)

    func tell(_ transfer: TransferRecord) {
        guard let executable = surroundings.program("notify-send") else { return }
        let verb = transfer.action == .upload ? "read" : "written"
        let name = transfer.file.map { "\($0)" } ?? "a file"
        var request = ChildRequest(
            executable: executable,
            arguments: [
                "--app-name=fxmount", "--", displayed(transfer.application.text.utf8),
                "\(displayed(name.utf8)) was \(verb), \(transfer.done)",
            ],
            environment: surroundings.environment)
        request.startsSession = true
        request.errorLog = "/dev/null"
        // Whether the user sees it changes nothing about the transfer (TransferNotices).
        guard let child = try? ChildProcess(request) else { return }
        let deadline = ContinuousDeadline.after(patience)
        if child.readReport(until: deadline) == nil || child.waitForExit(until: deadline) == nil { child.killSession() }
    }
}
