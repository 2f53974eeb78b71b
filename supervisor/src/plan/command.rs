//! How the commands of the files reach a shell.
//!
//! One command is the argument of `/bin/sh -c`, to the byte: the shell does all expansion, with the app's environment.
//!
//! A list runs in **one** shell, so that a `cd` or a variable of one command still holds for the next: that is what
//! existing files rely on. It ends with the first command that fails, and with that command's status. The commands are
//! neither joined by `&&` nor run under `set -e`: the first breaks on a comment or a here-document at the end of a
//! command, the second changes what happens inside each command. Instead every command is quoted and given to `eval`,
//! which sees its text to the byte.

/// The shell that runs the commands of the files.
const SHELL: &str = "/bin/sh";

/// Ends the script with the status of the `eval` before it, unless that was success. `case` is used because `$?` is
/// still the command's own in it, also for the `exit` without an argument.
const STOP_AT_FAILURE: &str = "case $? in 0) ;; *) exit ;; esac";

/// The program and its arguments that run these commands; nothing where there is no command.
#[must_use]
pub fn shell(commands: &[String]) -> Option<Vec<String>> {
    let script = match commands {
        [] => return None,
        [only] => only.clone(),
        [first @ .., last] => {
            let mut script = String::new();
            for command in first {
                script.push_str(&eval(command));
                script.push('\n');
                script.push_str(STOP_AT_FAILURE);
                script.push('\n');
            }
            script.push_str(&eval(last));
            script
        }
    };
    Some(vec![SHELL.to_owned(), "-c".to_owned(), script])
}

fn eval(command: &str) -> String {
    // The leading space keeps a command that begins with a dash from being taken for an option.
    format!("eval ' {}'", command.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    fn run(commands: &[&str]) -> Output {
        let commands: Vec<String> = commands.iter().map(|&text| text.to_owned()).collect();
        let argv = shell(&commands).unwrap();
        Command::new(&argv[0]).args(&argv[1..]).output().unwrap()
    }

    fn stdout(commands: &[&str]) -> String {
        String::from_utf8(run(commands).stdout).unwrap()
    }

    #[test]
    fn no_command_is_no_process() {
        assert_eq!(shell(&[]), None);
    }

    #[test]
    fn one_command_reaches_the_shell_to_the_byte() {
        let text = "echo \"$? ${X:-d}\" 'a b' HEAD~1 \\\\ # done";
        let argv = shell(&[text.to_owned()]).unwrap();
        assert_eq!(argv, ["/bin/sh", "-c", text]);
    }

    #[test]
    fn a_list_runs_in_one_shell() {
        assert_eq!(stdout(&["cd /", "X=1", "echo $X $PWD $#"]), "1 / 0\n");
    }

    #[test]
    fn a_list_stops_at_the_first_failure_with_its_status() {
        let output = run(&["echo one", "echo two; (exit 7)", "echo three"]);
        assert_eq!(output.stdout, b"one\ntwo\n");
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(run(&["true", "exit 3"]).status.code(), Some(3));
        assert_eq!(run(&["false", "true"]).status.code(), Some(1));
    }

    #[test]
    fn a_failure_inside_a_command_is_that_command_s_own_business() {
        assert_eq!(stdout(&["false\necho on", "false || echo or"]), "on\nor\n");
    }

    #[test]
    fn a_command_s_own_set_e_is_honoured() {
        let output = run(&["set -e\nfalse\necho not", "echo neither"]);
        assert_eq!(output.stdout, b"");
        assert_eq!(output.status.code(), Some(1));
    }

    #[test]
    fn comments_quotes_here_documents_and_dashes_survive_in_a_list() {
        let text = stdout(&[
            "echo 'it'\\''s' # a comment",
            "cat <<END\nhere\nEND",
            "printf '%s\\n' \"$(printf a)\" '$HOME' \\~",
            "true",
            "-x 2>/dev/null || echo dash",
        ]);
        assert_eq!(text, "it's\nhere\na\n$HOME\n~\ndash\n");
    }
}
