import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// What close(2) answers in a session.
    @Suite("Closing in sessions") struct SessionCloseTests {
        private func inSession(_ body: (Mounted, String) throws -> Void) throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("s")
                #expect(Sys.mkdir(session) == .ok)
                try body(mounted, session)
            }
        }

        @Test("Every close returns while six processes write the same two files")
        func everyCloseReturns() throws {
            try inSession { mounted, session in
                // A close that is never answered is ended by the deadline of the command, and is a failure.
                try sh(
                    """
                    jobs=
                    for worker in 1 2 3 4 5 6; do
                        (end=$((SECONDS + 5)); n=0
                         while [ $SECONDS -lt $end ]; do echo "$worker $n" > h$((n % 2)) || exit 1; n=$((n + 1)); done) &
                        jobs="$jobs $!"
                    done
                    for job in $jobs; do wait $job || exit 1; done
                    """, in: session, seconds: 40)
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                for name in ["h0", "h1"] {
                    let stored = try Sys.read("\(mounted.stored("s"))/\(name)")
                    #expect(stored == (try Sys.read("\(session)/\(name)")))
                }
            }
        }

        @Test("Both writers of a file the remote refuses are told by close")
        func bothAreTold() throws {
            try inSession { mounted, session in
                let first = try Sys.open("\(session)/refused", O_CREAT | O_WRONLY)
                let second = try Sys.open("\(session)/refused", O_WRONLY)
                // A directory in the place of the file: the store can never take it.
                #expect(Sys.mkdir("\(mounted.stored("s"))/refused") == .ok)
                #expect(first.write("AAAA") == .ok)
                #expect(second.write(Array("BB".utf8), at: 4) == .ok)
                #expect(first.close() != .ok)
                #expect(second.close() != .ok)
                #expect(try Sys.attribute("\(session)/refused", "user.fxmount.state") == "failed")
                #expect(Sys.rmdir("\(mounted.stored("s"))/refused") == .ok)
                #expect(Sys.setAttribute(session, "user.fxmount.state", "retry") == .ok)
                try mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                #expect(try Sys.text("\(mounted.stored("s"))/refused") == "AAAABB")
            }
        }

        @Test("fallocate with FALLOC_FL_KEEP_SIZE does not make the file longer")
        func keepSize() throws {
            try inSession { mounted, session in
                let file = try Sys.open("\(session)/f", O_CREAT | O_WRONLY)
                #expect(file.fallocate(1, 0, 4096) == .ok)
                #expect(file.write("12345") == .ok)
                #expect(file.close() == .ok)
                #expect(try Sys.text("\(mounted.stored("s"))/f") == "12345")
                #expect(try Sys.status("\(session)/f").size == 5)
            }
        }
    }
}
