/** `completion`: what a shell needs to complete commands and options, made from the commands themselves. */
import { Argument, type Command } from 'commander'
import { writeTo } from '../io.ts'
import type { Session } from '../session.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

export function addCompletion(program: Command, session: Session): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  source <(windlass completion bash)
  windlass completion zsh > "\${fpath[1]}/_windlass"
  windlass completion fish > ~/.config/fish/completions/windlass.fish`,
    )
    .action((shell: Shell) => writeTo(session.io.stdout, scripts[shell](commandsOf(program))))
}

type Words = { readonly name: string; readonly about: string; readonly options: readonly string[] }

function commandsOf(program: Command): { readonly shared: readonly string[]; readonly commands: readonly Words[] } {
  const longOptions = (command: Command): string[] => command.options.flatMap(({ long }) => (long ? [long] : []))
  return {
    shared: [...longOptions(program), '--help'],
    commands: program.commands.map((command) => ({
      name: command.name(),
      about: command.description(),
      options: longOptions(command),
    })),
  }
}

type Script = (words: ReturnType<typeof commandsOf>) => string

const bash: Script = ({ shared, commands }) => `_windlass() {
  local word=\${COMP_WORDS[COMP_CWORD]} command= w
  for w in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $w in ${commands.map(({ name }) => name).join('|')}) command=$w; break ;; esac
  done
  local words='${shared.join(' ')}'
  case $command in
    '') words="$words ${commands.map(({ name }) => name).join(' ')}" ;;
${commands
  .filter(({ options }) => options.length > 0)
  .map(({ name, options }) => `    ${name}) words="$words ${options.join(' ')}" ;;\n`)
  .join('')}  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _windlass windlass
`

const quoted = (text: string): string => text.replaceAll("'", "'\\''")

const zsh: Script = ({ shared, commands }) => `#compdef windlass
_windlass() {
  local -a commands=(
${commands.map(({ name, about }) => `    '${name}:${quoted(about)}'\n`).join('')}  )
  local -a options=(${shared.join(' ')})
  case \${words[(r)(${commands.map(({ name }) => name).join('|')})]} in
    '') _describe command commands ;;
${commands
  .filter(({ options }) => options.length > 0)
  .map(({ name, options }) => `    ${name}) options+=(${options.join(' ')}) ;;\n`)
  .join('')}  esac
  compadd -- $options
  _files
}
compdef _windlass windlass
`

const fish: Script = ({ shared, commands }) =>
  [
    'complete -c windlass -f -n __fish_use_subcommand',
    ...shared.map((option) => `complete -c windlass -l ${option.slice(2)}`),
    ...commands.flatMap(({ name, about, options }) => [
      `complete -c windlass -n __fish_use_subcommand -a ${name} -d '${quoted(about)}'`,
      ...options.map((option) => `complete -c windlass -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`),
    ]),
  ]
    .map((line) => `${line}\n`)
    .join('')

const scripts = { bash, zsh, fish } as const satisfies Record<Shell, Script>
